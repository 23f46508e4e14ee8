"""What fleetctl shows: tables, JSON, status, journals and SSH, over TCP and in a machine."""
import json
import os
import re
import subprocess

import pytest
from cluster import BIN, service, wait_for

LAB = {"machines": 2, "ttl": 5, "metadata": ["m1:zone=a,disk=ssd"]}


def rows(done):
    """Cells of a table; they are separated by tabs."""
    return [[cell.strip() for cell in line.split("\t")] for line in done.stdout.splitlines()]


def short(lab, machine):
    return f"{lab.id[machine][:8]}.../{lab.ip[machine]}"


def test_list_machines(lab):
    table = rows(lab.ctl("list-machines"))
    assert table[0] == ["MACHINE", "IP", "METADATA"]
    metadata = {"m1": "disk=ssd,zone=a"}
    assert sorted(table[1:]) == sorted(
        [lab.id[name][:8] + "...", lab.ip[name], metadata.get(name, "-")] for name in lab.machines)
    full = rows(lab.ctl("list-machines", "--full", "--no-legend", "--fields=machine,hostname"))
    assert sorted(full) == sorted([lab.id[name], name] for name in lab.machines)


def test_list_units_and_list_unit_files(lab):
    machine = lab.start("b.service")
    lab.file("a.service", "[Unit]\nDescription=the first\n" + service())
    lab.ctl("submit", "a")
    assert rows(lab.ctl("list-units")) == [
        ["UNIT", "MACHINE", "ACTIVE", "SUB"],
        ["b.service", short(lab, machine), "active", "running"]]
    table = rows(lab.ctl("list-unit-files"))
    assert table[0] == ["UNIT", "HASH", "DSTATE", "STATE", "TARGET"]
    assert [row[:1] + row[2:] for row in table[1:]] == [
        ["a.service", "inactive", "inactive", "-"],
        ["b.service", "launched", "launched", short(lab, machine)]]
    assert all(re.fullmatch("[0-9a-f]{7}", row[1]) for row in table[1:])
    described = rows(lab.ctl("list-unit-files", "--no-legend", "--fields=unit,desc", "a*"))
    assert described == [["a.service", "the first"]]
    assert "bogus" in lab.ctl("list-units", "--fields=bogus", status=1).stderr


@pytest.mark.machines(2)
def test_lists_filter_by_name_machine_and_state(lab):
    first, second = lab.start("one.service"), lab.start("two.service")
    assert {first, second} == {"m1", "m2"}

    def names(*arguments):
        return lab.ctl("list-units", "-o", "name", *arguments).stdout.split()
    assert names() == ["one.service", "two.service"]
    assert names("tw*") == ["two.service"]
    assert names("--machine", lab.id[first][:12]) == ["one.service"]
    assert names("--state=failed") == []


def test_lists_in_json(lab):
    machine = lab.start("j.service")
    (state,) = json.loads(lab.ctl("list-units", "-o", "json").stdout)
    assert (state["name"], state["machineID"]) == ("j.service", lab.id[machine])
    assert json.loads(lab.ctl("list-unit-files", "-o", "json", "none*").stdout or "[]") == []


def test_more_units_than_a_page_holds_are_all_listed(lab):
    names = [lab.file(f"page{i:03}.service") for i in range(230)]
    lab.ctl("submit", *names)
    assert lab.ctl("list-unit-files", "-o", "name").stdout.split() == names


def test_status_is_systemctls_from_where_the_unit_runs(lab):
    # `systemctl status` leaves out lines from before the unit left "inactive", which systemd notes
    # after it has forked a simple service: the first command lets the second one's line be later.
    lab.start("seen.service", service("ExecStartPre=/bin/true",
                                      "ExecStart=/bin/sh -c 'echo good morning; exec sleep 1d'"))
    wait_for(lambda: "good morning" in lab.ctl("status", "seen").stdout, "journald to have the line")
    assert "active (running)" in lab.ctl("status", "seen").stdout
    lab.ctl("stop", "seen")
    assert "inactive (dead)" in lab.ctl("status", "seen", status=3).stdout


def test_status_of_several_units_and_of_a_unit_that_is_not_placed(lab):
    lab.start("up.service")
    lab.file("known.service")
    lab.ctl("submit", "known")
    done = lab.ctl("status", "up", "known", status=3)
    assert "active (running)" in done.stdout
    assert "known.service" in done.stdout + done.stderr


def test_journal_shows_the_units_lines(lab):
    lab.start("talks.service", service("ExecStart=/bin/sh -c "
                                       "'for i in 1 2 3 4 5; do echo line $$i; done; sleep 1d'"))
    machine = lab.where("talks.service")
    wait_for(lambda: "line 5" in lab.run(machine, "journalctl", "-u", "talks"), "the lines")
    assert "line 1" in lab.ctl("journal", "--lines", "20", "talks").stdout
    # Which two they are is journald's: systemd's own lines may come later than the unit's.
    assert len(lab.ctl("journal", "--lines=2", "--output=cat", "talks").stdout.splitlines()) == 2


def talker(name, fleet=()):
    """A service that says its name again and again."""
    script = f"while echo {name} says so; do sleep 0.2; done"
    return service(f"ExecStart=/bin/sh -c '{script}'", fleet=fleet)


@pytest.mark.machines(2)
def test_logs_come_from_the_units_machines_whichever_is_asked(lab):
    where = {name: lab.start(name, talker(name, fleet=["Conflicts=talker-*"]))
             for name in ("talker-1.service", "talker-2.service")}
    assert set(where.values()) == set(lab.machines)
    for asked in lab.machines:
        def entries(at=asked):
            done = lab.ctl("logs", "-n", "5", "-o", "json", "talker-*", at=at)
            return [json.loads(line) for line in done.stdout.splitlines()]
        wait_for(lambda: sum("says" in entry["message"] for entry in entries()) >= 6, "journald")
        assert {(entry["unit"], entry["machineID"]) for entry in entries()} == {
            (name, lab.id[machine]) for name, machine in where.items()}
    text = lab.ctl("logs", "-n", "3", "talker-1").stdout
    assert re.search(r"(?m)^talker-1\.service/[0-9a-f]{8} \| \S+Z sh: talker-1.service says", text)


def test_logs_follow_new_lines_and_units_that_come(lab):
    lab.start("talker-1.service", talker("talker-1.service"))
    with subprocess.Popen([BIN / "fleetctl", "logs", "-f", "-o", "cat", "talker-*"], text=True,
                          env=lab.env, stdout=subprocess.PIPE) as follower:
        try:
            for line in follower.stdout:
                if line.startswith("talker-1.service says"):
                    break
            lab.start("talker-2.service", talker("talker-2.service"))
            for line in follower.stdout:
                if line.startswith("talker-2.service says"):
                    break
            assert follower.poll() is None
        finally:
            follower.kill()


def test_events_are_told_as_they_happen(lab):
    with subprocess.Popen([BIN / "fleetctl", "events", "-f", "--unit=e2.service"], text=True,
                          env=lab.env, stdout=subprocess.PIPE) as follower:
        try:
            lab.start("e1.service")
            machine = lab.start("e2.service")
            line = follower.stdout.readline()
            assert f" placed e2.service {short(lab, machine)}" in line
        finally:
            follower.kill()


def test_top_fills_a_terminal_of_80_by_24_and_follows_the_cluster(lab):
    lab.start("t1.service")
    tmux = ["tmux", "-L", f"fleet-{os.getpid()}", "-f", "/dev/null"]

    def screen():
        done = subprocess.run([*tmux, "capture-pane", "-p"], check=True, capture_output=True,
                              text=True)
        return done.stdout
    subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", f"{BIN}/fleetctl top"],
                   check=True, env=lab.env)
    try:
        wait_for(lambda: "t1.service" in screen(), lambda: f"the unit on\n{screen()}")
        lines = screen().splitlines()
        assert len(lines) == 24 and max(map(len, lines)) <= 80
        assert f"{len(lab.machines)} machines" in lines[0] and "q quit" in lines[-1]
        for machine in lab.machines:
            assert lab.id[machine][:8] in screen()
        lab.start("t2.service")
        wait_for(lambda: "t2.service" in screen() and "placed t2.service" in screen(),
                 lambda: f"the new unit, and that it was placed, on\n{screen()}")
        subprocess.run([*tmux, "send-keys", "t"], check=True)
        wait_for(lambda: "all units" in screen().splitlines()[-1], "the key to be heeded")
        subprocess.run([*tmux, "send-keys", "q"], check=True)
        wait_for(lambda: subprocess.run([*tmux, "has-session"], check=False,
                                        capture_output=True).returncode != 0, "top to end")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def test_ssh_runs_a_command_where_the_unit_runs_with_its_status(lab):
    for name in ("s1.service", "s2.service"):
        machine = lab.start(name)
        assert lab.ctl("ssh", name, "hostname").stdout == machine + "\n"
    for machine in lab.machines:
        assert lab.ctl("ssh", lab.id[machine][:8], "hostname").stdout == machine + "\n"
        assert lab.ctl("ssh", "--machine", lab.id[machine], "hostname").stdout == machine + "\n"
    assert lab.ctl("ssh", "s1", "exit 37", status=37).stdout == ""
    assert lab.ctl("ssh", "--unit", "s1", "cat", input="through\n").stdout == "through\n"
    lab.ctl("ssh", "ffffffffffff", "hostname", status=4)


def test_everything_works_in_a_machine_over_the_unix_socket(lab):
    """Without any configuration, as an operator on the machine does it."""
    lab.shell("m1", "cat > /root/local.service <<'END'\n" + service(
        "ExecStart=/bin/sh -c 'echo good morning; exec sleep 1d'",
        fleet=[f"MachineID={lab.id['m1']}"]) + "END")
    script = "cd /root && fleetctl "
    assert lab.shell("m1", script + "submit local") == "Unit local.service inactive\n"
    assert f"loaded on {short(lab, 'm1')}" in lab.shell("m1", script + "load local")
    assert f"launched on {short(lab, 'm1')}" in lab.shell("m1", script + "start local.service")
    assert "local.service" in lab.shell("m1", script + "list-units")
    assert "launched" in lab.shell("m1", script + "list-unit-files")
    assert lab.id[lab.machines[-1]][:8] in lab.shell("m1", script + "list-machines")
    assert "active (running)" in lab.shell("m1", script + "status local")
    assert "good morning" in lab.shell("m1", script + "journal local")
    assert lab.shell("m1", script + "ssh local hostname") == "m1\n"
    assert "sleep 1d" in lab.shell("m1", script + "cat local")
    assert "launched on" in lab.shell("m1", script + "restart local")
    assert "loaded on" in lab.shell("m1", script + "stop local")
    assert lab.shell("m1", script + "unload local") == "Unit local.service inactive\n"
    assert lab.shell("m1", script + "destroy local") == "Destroyed local.service\n"
    lab.shell("m1", script + "status local", status=4)


def test_the_socket_belongs_to_the_group_fleet(lab):
    assert lab.run("m1", "stat", "-c", "%U:%G %a", "/run/fleet.sock") == "root:fleet 660\n"
