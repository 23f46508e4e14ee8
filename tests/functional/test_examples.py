"""The examples that are folders of units, with real containers (podman), as their READMEs tell."""
import contextlib
import shutil
import socket
import urllib.request

import pytest
from cluster import ROOT, wait_for
from images import make_busybox, make_of_program

LAB = {"containers": ["podman"], "metadata": ["m1:zone=a", "m2:zone=b", "m3:zone=c"]}
pytestmark = pytest.mark.machines(3)


@pytest.fixture(name="example")
def copy_of_an_example(lab):
    """example("web"): fleetctl finds the units of that folder, and the machines have the images."""
    def take(folder, haproxy=False):
        for path in (ROOT / "examples" / folder).iterdir():
            shutil.copy(path, lab.files)
        for machine in lab.machines:
            if not has_image(lab, machine, "localhost/busybox"):
                make_busybox(lab, machine)
        if haproxy and not has_image(lab, lab.machines[0], "localhost/haproxy"):
            make_of_program(lab, "/usr/sbin/haproxy", "localhost/haproxy")
        return lab
    return take


def has_image(lab, machine, image):
    return image in lab.run(machine, "podman", "images", "--format={{.Repository}}").split()


def reads(lab, machine, path):
    """The lines of a file on a machine, [] if it is not there."""
    return lab.shell(machine, f"cat {path} 2>/dev/null", status=None).splitlines()


def served(lab):
    """What the load balancer answers: {"web 1 on m2", …}; nothing if one request fails."""
    answers = set()
    machine = lab.where("balancer.service")
    with contextlib.suppress(OSError):
        for _ in range(12):
            with urllib.request.urlopen(f"http://{lab.ip[machine]}:8080/", timeout=2) as answer:
                answers.add(answer.read().decode().strip())
        return answers
    return set()


def back_ends(lab):
    """Those that HAProxy was told to use, which are not in maintenance: {number: address}. Its own
    checks have no part in it."""
    address = (lab.ip[lab.where("balancer.service")], 9999)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"show servers state web\n")
        lines = connection.makefile("r").read().splitlines()
    servers = (line.split() for line in lines if " web" in line)
    return {int(server[3].removeprefix("web")): server[4] for server in servers
            if not int(server[6]) & 1}


def wait_served(lab, *instances):
    """Each of these web servers, and no other, is a back end where fleet runs it, and serves."""
    def where():
        return {n: lab.where(f"web@{n}.service") for n in instances}
    wait_for(lambda: back_ends(lab) == {n: lab.ip.get(name) for n, name in where().items()},
             lambda: f"{back_ends(lab)}, not {where()}")
    wait_for(lambda: served(lab) == {f"web {n} on {name}" for n, name in where().items()},
             lambda: f"{served(lab)}")


def test_back_ends_of_haproxy_follow_fleet_through_watch(example):
    lab = example("web", haproxy=True)
    lab.ctl("start", "balancer", "balancer-follow", *(f"web@{n}" for n in (1, 2, 3, 4)))
    machine = lab.where("balancer.service")
    assert lab.where("balancer-follow.service") == machine
    assert len({lab.where(f"web@{n}.service") for n in (1, 2, 3, 4)}) == 3, "spread over zones"
    wait_served(lab, 1, 2, 3, 4)
    lab.ctl("stop", "web@4")
    wait_served(lab, 1, 2, 3)
    lab.ctl("start", "web@4")
    wait_served(lab, 1, 2, 3, 4)

    other = next(name for name in lab.machines if name != machine)
    lab.lab("crash", other)
    for n in (1, 2, 3, 4):
        lab.wait_where(f"web@{n}.service", lambda name: name != other, at=machine)
    wait_served(lab, 1, 2, 3, 4)
    lab.lab("boot", other)


def test_back_ends_of_haproxy_follow_fleet_through_sidekicks(example):
    lab = example("web", haproxy=True)
    lab.ctl("start", "balancer", *(f"web@{n}" for n in (1, 2, 3)),
            *(f"announce@{n}" for n in (1, 2, 3)))
    for n in (1, 2, 3):
        assert lab.where(f"announce@{n}.service") == lab.where(f"web@{n}.service")
    wait_served(lab, 1, 2, 3)
    lab.ctl("stop", "web@2")
    wait_served(lab, 1, 3)
    lab.ctl("start", "web@2", "announce@2")
    wait_served(lab, 1, 2, 3)
    lab.ctl("restart", "balancer")
    wait_served(lab, 1, 2, 3)


def test_a_database_has_backups_beside_it_and_a_replica_in_another_zone(example):
    lab = example("database")
    lab.ctl("start", "db")
    lab.ctl("load", "db-backup.service")
    lab.ctl("start", "db-replica", "db-backup.timer")

    def is_as_it_should_be(at=None):
        machine, replica = lab.where("db.service", at), lab.where("db-replica.service", at)
        if not machine or not replica:
            return False
        assert machine != replica  # each machine is a zone
        rows = reads(lab, machine, "/var/lib/db/rows")
        copied = reads(lab, replica, "/var/lib/db-replica/rows")
        saved = reads(lab, machine, "/var/backups/db/rows-*")
        return (lab.where("db-backup.timer", at) == machine and rows and saved and
                len(copied) > 1 and set(copied) <= set(rows) and set(saved) <= set(rows))
    wait_for(is_as_it_should_be, "a replica and a backup")

    first = lab.where("db.service")
    at = next(name for name in lab.machines if name != first)
    lab.lab("crash", first)
    lab.wait_where("db.service", lambda name: name != first, at=at)
    wait_for(lambda: is_as_it_should_be(at), "a replica and a backup of the database where it is now")
    lab.lab("boot", first)


def test_a_job_runs_by_the_clock_once_in_the_cluster(example):
    lab = example("timer")
    lab.ctl("load", "report.service")
    lab.ctl("start", "report.timer")
    machine = lab.where("report.timer")
    wait_for(lambda: f"report of {machine}: up for" in lab.ctl("journal", "report").stdout,
             "a report")
    assert set(lab.states("report.service")) == {machine}
    assert lab.show(machine, "report.service", "Result") == {"Result": "success"}
    assert lab.show(machine, "report.timer", "ActiveState") == {"ActiveState": "active"}


def test_hello_says_so_in_its_journal(example):
    lab = example("hello")
    lab.ctl("start", "hello")
    machine = lab.where("hello.service")
    wait_for(lambda: f"Hello from {machine}" in lab.ctl("journal", "hello").stdout, "a greeting")


def test_the_mysqls_are_kept_apart(example):
    lab = example("mysql")
    lab.ctl("start", "mysql.1", "mysql.2", "mysql.3")
    assert {lab.where(f"mysql.{number}.service") for number in (1, 2, 3)} == set(lab.machines)


def test_every_machine_ships_its_log_to_the_collector(example):
    lab = example("logs")
    lab.ctl("start", "log-collector")
    lab.ctl("start", "log-shipper")
    wait_for(lambda: lab.active("log-shipper.service") == lab.machines, "a shipper on each machine")
    collector = lab.where("log-collector.service")

    def arrived(word):
        lines = reads(lab, collector, "/var/log/collected/all")
        return {name for name in lab.machines
                if any(f" {name} " in line and word in line for line in lines)}

    def all_arrive(word):
        for machine in lab.machines:
            lab.run(machine, "logger", word)
        return arrived(word) == set(lab.machines)
    wait_for(lambda: all_arrive("before"), lambda: f"only from {arrived('before')}")
    lab.ctl("restart", "log-collector")
    wait_for(lambda: all_arrive("after"), lambda: f"only from {arrived('after')}")


def test_each_unit_of_an_example_is_told_of_in_its_readme():
    folders = [path for path in (ROOT / "examples").iterdir() if path.name != "README.md"]
    assert len(folders) >= 7
    for folder in folders:
        text = (folder / "README.md").read_text()
        for unit in folder.iterdir():
            assert unit.name == "README.md" or f"`{unit.name}`" in text, unit
        assert f"`{folder.name}/`" in (ROOT / "examples" / "README.md").read_text()
