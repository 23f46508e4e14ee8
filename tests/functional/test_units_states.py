"""Desired and current states: every command from every state, and what counts as started."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 5}

STATES = {"inactive": "submit", "loaded": "load", "launched": "start"}  # and how they are reached
# command: {from: (exit status, desired state after it)}
COMMANDS = {
    "submit": {"inactive": (0, "inactive"), "loaded": (0, "loaded"), "launched": (0, "launched")},
    "load": {"inactive": (0, "loaded"), "loaded": (0, "loaded"), "launched": (0, "loaded")},
    "start": {state: (0, "launched") for state in STATES},
    "stop": {"inactive": (1, "inactive"), "loaded": (0, "loaded"), "launched": (0, "loaded")},
    "restart": {"inactive": (1, "inactive"), "loaded": (0, "launched"),
                "launched": (0, "launched")},
    "unload": {state: (0, "inactive") for state in STATES},
    "destroy": {state: (0, "destroyed") for state in STATES},
}
ACTIVE = {"inactive": None, "loaded": "inactive", "launched": "active", "destroyed": None}


@pytest.mark.parametrize("state", STATES)
def test_every_command_from_every_state(lab, state):
    names = {command: lab.file(f"{command}.service") for command in COMMANDS}
    lab.ctl(STATES[state], *names.values())
    assert {unit["currentState"] for unit in lab.units().values()} == {state}
    for command, name in names.items():
        lab.ctl(command, name, status=COMMANDS[command][state][0])
    units = lab.units()
    states = {unit["name"]: unit["systemdActiveState"] for unit in lab.list("list-units")}
    kept = [name for machine in lab.machines for name in lab.local_units(machine)]
    running = [name for machine in lab.machines for name, said in zip(names.values(), lab.run(
        machine, "systemctl", "is-active", *names.values(), status=None).split())
        if said == "active"]
    for command, name in names.items():
        desired = COMMANDS[command][state][1]
        assert units.get(name, {}).get("desiredState", "destroyed") == desired, name
        assert units.get(name, {}).get("currentState", "destroyed") == desired, name
        assert states.get(name) == ACTIVE[desired], name
        assert kept.count(name) == (desired in ("loaded", "launched")), name
        assert running.count(name) == (desired == "launched"), name


def test_the_current_state_is_what_the_machine_reports(lab):
    """Desired and current state differ as long as the machine has not done its part."""
    lab.file("fails.service", service("ExecStart=/bin/false"))
    lab.ctl("start", "fails", status=1)
    lab.file("slow.service", service("Type=oneshot", "ExecStart=/bin/sleep 1d"))
    lab.ctl("start", "--no-block", "slow")
    wait_for(lambda: "activating" in lab.states("slow.service").values(), "its start")
    lab.file("far.service", service(fleet=["MachineID=none"]))
    lab.ctl("start", "far", status=6)
    assert {unit["name"]: (unit["desiredState"], unit["currentState"])
            for unit in lab.list("list-unit-files")} == {
        "fails.service": ("launched", "loaded"), "slow.service": ("launched", "launched"),
        "far.service": ("launched", "inactive")}


def test_systemds_states_are_reported_as_they_are(lab):
    lab.file("fails.service", service("ExecStart=/bin/false"))
    lab.ctl("start", "fails", status=1)
    lab.file("done.service", service("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"))
    lab.file("hollow.service", "[Service]\n")
    lab.ctl("start", "done")
    lab.ctl("start", "hollow", status=1)
    assert {unit["name"]: (unit["systemdLoadState"], unit["systemdActiveState"],
                           unit["systemdSubState"]) for unit in lab.list("list-units")} == {
        "fails.service": ("loaded", "failed", "failed"),
        "done.service": ("loaded", "active", "exited"),
        "hollow.service": ("bad-setting", "inactive", "dead")}


@pytest.mark.parametrize("verb", ["stop", "unload", "destroy", "restart"])
def test_a_failed_unit_can_be_stopped_unloaded_destroyed_and_tried_again(lab, verb):
    lab.file("fails.service", service("ExecStart=/bin/sh -c 'exec sleep $$(cat /run/time)'"))
    lab.ctl("start", "fails", status=1)
    (machine,) = lab.states("fails.service")
    lab.shell(machine, "echo 1d > /run/time")
    done = lab.ctl(verb, "fails", status=None)
    lab.shell(machine, "rm /run/time")
    assert done.returncode == 0, done.stderr
    state, = list(lab.states("fails.service").values()) or ["none"]
    assert state in {"stop": ("inactive", "failed"), "restart": ("active",)}.get(verb, ("none",))
    if state == "none":
        assert lab.run(machine, "systemctl", "list-units", "--all", "--no-legend",
                       "fails.service") == ""


def test_start_waits_until_a_unit_says_that_it_is_ready(lab):
    machine = lab.start("ready.service", service(
        "Type=notify", "NotifyAccess=all",
        "ExecStart=/bin/sh -c "
        "'sleep 0.5; touch /run/ready; systemd-notify --ready; exec sleep 1d'"))
    lab.run(machine, "rm", "/run/ready")


def test_a_unit_that_fails_within_its_start_has_not_started(lab):
    fails = {
        "at-once": ["ExecStart=/bin/false"],
        "soon-after": ["ExecStart=/bin/sh -c 'sleep 0.03; exit 3'"],
        "auto-restart": ["ExecStart=/bin/false", "Restart=always", "RestartSec=1h"],
        "start-limit": ["ExecStart=/bin/false", "Restart=on-failure", "RestartSec=10ms"],
        "oneshot": ["Type=oneshot", "ExecStart=/bin/false"],
        "notify": ["Type=notify", "ExecStart=/bin/false"],
        "before": ["ExecStartPre=/bin/false"],
        "after": ["ExecStartPost=/bin/false"],
        "user": ["User=nobody-of-that-name"],
    }
    for name, lines in fails.items():
        lab.file(f"{name}.service", service(*lines))
    done = lab.ctl("start", *fails, status=1)
    assert done.stdout == ""
    for name in fails:
        assert f"{name}.service failed on" in done.stderr


def test_a_unit_that_ends_well_or_is_not_needed_has_started(lab):
    for name, lines in (("ends", ["ExecStart=/bin/true"]),
                        ("comes-back", ["ExecStart=/bin/sleep 1d", "Restart=always"])):
        lab.file(f"{name}.service", service(*lines))
        assert "launched on" in lab.ctl("start", name).stdout, name
    lab.file("unneeded.service", "[Unit]\nConditionPathExists=/does/not/exist\n" + service())
    assert "launched on" in lab.ctl("start", "unneeded").stdout
    assert list(lab.states("unneeded.service").values()) == ["inactive"]


def test_a_batch_with_one_that_fails_tells_of_each(lab):
    for i in range(6):
        lab.file(f"u{i}.service", service("ExecStart=/bin/false") if i == 3 else None)
    done = lab.ctl("start", *(f"u{i}" for i in range(6)), status=1)
    assert sorted(line.split(" on ")[0] for line in done.stdout.splitlines()) == [
        f"Unit u{i}.service launched" for i in range(6) if i != 3]
    assert done.stderr.count("failed on") == 1 and "u3.service" in done.stderr


def test_a_destroyed_unit_is_listed_until_it_has_stopped(lab):
    machine = lab.start("lingers.service", service(
        "ExecStop=/bin/sh -c 'until test -e /run/go; do sleep 0.05; done'"))
    assert lab.ctl("destroy", "--no-block", "lingers").stdout == "Destroyed lingers.service\n"
    wait_for(lambda: lab.states("lingers.service") == {machine: "deactivating"},
             lambda: lab.states("lingers.service"))
    assert lab.units() == {}
    lab.run(machine, "touch", "/run/go")
    wait_for(lambda: lab.states("lingers.service") == {}, "its state to go")
    lab.run(machine, "rm", "/run/go")
