"""Three etcd members, of which some stop, hang or are not there."""
import pytest
from cluster import service, wait_for
from registry_help import configured, wait_told

LAB = {"machines": 2, "ttl": 5, "etcd": "3"}


def unit_on_each(lab, name):
    """Starts a unit on each machine, asked there. The request that finds out that a member hangs,
    or has no leader any more, may fail."""
    for machine in lab.machines:
        lab.file(f"{name}-{machine}.service", service(fleet=[f"MachineID={lab.id[machine]}"]))
        said = []

        def started(machine=machine, said=said):
            done = lab.ctl("start", f"{name}-{machine}", at=machine, status=None)
            said.append(done.stderr)
            return done.returncode == 0
        wait_for(started, lambda said=said: "".join(said))
        assert lab.where(f"{name}-{machine}.service", at=machine) == machine


@pytest.mark.parametrize("ill, well", [("stop", "start"), ("pause", "resume")])
def test_any_member_may_be_away(lab, ill, well):
    unit_on_each(lab, "steady")
    runs, members = lab.runs(), lab.created("/fleet/machines/")
    for member in "123":
        lab.lab("etcd", ill, "--member", member)
        try:
            unit_on_each(lab, f"without-{member}")
        finally:
            lab.lab("etcd", well, "--member", member)
    after = lab.runs()
    assert {run: after[run] for run in runs} == runs
    if ill == "stop":  # a leader of etcd 3.4 that has hung ends leases when it goes on
        assert lab.created("/fleet/machines/") == members, "a machine left"


def test_addresses_where_nobody_answers_do_no_harm(lab):
    network = lab.ip["m1"].rsplit(".", 1)[0]
    nobody = f'"http://{network}.250:2379","http://{network}.1:2379"'
    last = lab.env["ETCDCTL_ENDPOINTS"].split(",")[-1]
    with configured(lab, "m2", f"sed -i 's|^etcd_servers=.*|etcd_servers=[{nobody},\"{last}\"]|' "
                               "fleet.conf"):
        lab.wait_members("m1", "m2", at="m2")
        unit_on_each(lab, "works")


def test_each_endpoint_is_told_with_its_cause_when_none_serves(lab):
    endpoints = lab.env["ETCDCTL_ENDPOINTS"].split(",")
    lab.lab("partition", "m2", "--from", "etcd")
    try:
        lab.run("m2", "systemctl", "restart", "fleet")
        wait_told(lab, "m2", *endpoints)
        assert "unable to communicate with etcd" in lab.ctl("list-units", at="m2", status=1).stderr
    finally:
        lab.lab("heal", "m2")
    lab.wait_members("m1", "m2", at="m2")


def test_a_minority_of_members_is_told_and_units_run_on(lab):
    unit_on_each(lab, "steady")
    runs = lab.runs()
    lab.file("asked.service")
    for member in "12":
        lab.lab("etcd", "stop", "--member", member)
    try:
        for machine in lab.machines:
            wait_for(lambda machine=machine: "leader" in lab.ctl(
                "submit", "asked", at=machine, status=1).stderr,
                f"{machine} to say that etcd has no leader")
        assert lab.runs() == runs
    finally:
        lab.lab("etcd", "start")
    lab.wait_members(*lab.machines)
    unit_on_each(lab, "later")
    assert {run: state for run, state in lab.runs().items() if run in runs} == runs
