"""Global units in every command of fleetctl."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 5, "metadata": ["m1:zone=a"]}
pytestmark = pytest.mark.machines(2)

NAME = "every.service"


@pytest.fixture
def every(lab):
    """A global unit that runs on both machines."""
    lab.file(NAME, service("ExecStartPre=/bin/true", "ExecStart=/bin/sh -c "
                           "'echo I am on $$(hostname); exec sleep 1d'", fleet=["Global=true"]))
    lab.ctl("start", NAME)
    wait_for(lambda: lab.active(NAME) == lab.machines, "the global unit on every machine")


def label(lab, machine):
    return f"{lab.id[machine][:8]}.../{lab.ip[machine]}"


@pytest.mark.parametrize("flags", [(), ("--no-block",)], ids=["block", "no-block"])
def test_each_verb_triggers_and_does_not_wait(lab, flags):
    lab.file(NAME, service(fleet=["Global=true"]))
    assert lab.ctl("submit", NAME).stdout == f"Unit {NAME} inactive\n"
    for verb, active in (("load", ["inactive", "inactive"]), ("start", ["active", "active"]),
                         ("restart", ["active", "active"]), ("stop", ["inactive", "inactive"]),
                         ("start", ["active", "active"]), ("unload", [])):
        assert lab.ctl(verb, *flags, "every").stdout == f"Triggered global unit {NAME} {verb}\n"
        wait_for(lambda: list(lab.states(NAME).values()) == active,
                 lambda: f"{verb}: {lab.states(NAME)}")
    assert lab.ctl("destroy", *flags, "every").stdout == f"Destroyed {NAME}\n"
    assert lab.units() == {}


def test_stop_and_restart_of_an_inactive_global_unit_are_refused(lab):
    lab.file(NAME, service(fleet=["Global=true"]))
    lab.ctl("submit", NAME)
    for verb in ("stop", "restart"):
        assert "inactive" in lab.ctl(verb, NAME, status=1).stderr


def test_restart_starts_it_anew_on_every_machine(lab, every):
    before = [lab.show(machine, NAME, "InvocationID") for machine in lab.machines]
    lab.ctl("restart", "every")

    def anew():
        after = [lab.show(machine, NAME, "InvocationID", "ActiveState")
                 for machine in lab.machines]
        return all(new["ActiveState"] == "active" and new["InvocationID"] != old["InvocationID"]
                   for new, old in zip(after, before))
    wait_for(anew, "both copies to be started anew")


def test_start_replace_gives_every_machine_the_new_text(lab, every):
    lab.file(NAME, service("Environment=V=2", fleet=["Global=true"]))
    assert lab.ctl("start", "--replace", NAME).stdout == f"Triggered global unit {NAME} start\n"
    wait_for(lambda: [lab.show(machine, NAME, "Environment", "ActiveState")
                      for machine in lab.machines]
             == 2 * [{"Environment": "V=2", "ActiveState": "active"}], "the new text")


def test_destroy_waits_until_it_is_gone_everywhere(lab, every):
    assert lab.ctl("destroy", "every").stdout == f"Destroyed {NAME}\n"
    assert [lab.is_active(machine, NAME) for machine in lab.machines] == [False, False]
    assert lab.list("list-units") == []


def test_status_is_a_line_per_machine_and_needs_no_ssh(lab, every):
    env = {"PATH": "/nonexistent", "SSH_AUTH_SOCK": ""}
    done = lab.ctl("status", "every", "--no-block", env=env)
    rows = [[cell.strip() for cell in line.split("\t")] for line in done.stdout.splitlines()]
    assert sorted(rows) == sorted([NAME, label(lab, machine), "loaded", "active", "running"]
                                  for machine in lab.machines)
    lab.run("m1", "systemctl", "stop", NAME)
    wait_for(lambda: lab.states(NAME) == {"m1": "inactive", "m2": "active"}, "fleet to know")
    assert "inactive" in lab.ctl("status", "every", env=env, status=3).stdout


def test_status_of_one_that_is_on_no_machine(lab):
    lab.file(NAME, service(fleet=["Global=true", "MachineMetadata=zone=none"]))
    lab.ctl("start", NAME)
    done = lab.ctl("status", "every", status=3)
    assert NAME in done.stdout + done.stderr


def test_journal_and_ssh_take_the_machine(lab, every):
    for machine in lab.machines:
        flag = f"--machine={lab.id[machine][:16]}"
        wait_for(lambda: f"I am on {machine}\n" in lab.ctl(  # pylint: disable=cell-var-from-loop
            "journal", flag, "--output=cat", "every").stdout, "the line of its copy")
        assert lab.ctl("ssh", flag, "hostname").stdout == machine + "\n"
    for arguments in (["journal", "every"], ["ssh", "every", "true"],
                      ["ssh", "--unit", "every", "true"]):
        said = lab.ctl(*arguments, status=1)
        assert "--machine" in said.stderr and NAME in said.stderr and said.stdout == ""


def test_the_lists(lab, every):
    assert lab.ctl("list-unit-files", "--no-legend", "--fields=unit,dstate,state,target,global"
                   ).stdout.split() == [NAME, "launched", "-", "global", "true"]
    table = lab.ctl("list-units", "--no-legend").stdout.splitlines()
    machines = [label(lab, lab.of_id[id_]) for id_ in sorted(lab.id.values())]
    assert [line.split() for line in table] == [
        [NAME, machine, "active", "running"] for machine in machines]
    assert lab.ctl("cat", "every").stdout == (lab.files / NAME).read_text()


def test_global_units_and_others_in_one_command(lab):
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.file("one.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    there = f"on {label(lab, 'm2')}"
    for verb, said in (("load", f"Unit one.service loaded {there}"),
                       ("start", f"Unit one.service launched {there}"),
                       ("stop", f"Unit one.service loaded {there}"),
                       ("unload", "Unit one.service inactive"),
                       ("destroy", "Destroyed one.service")):
        words = ["every", "one"] if verb in ("load", "start") else ["*.service"]
        other = f"Destroyed {NAME}" if verb == "destroy" else f"Triggered global unit {NAME} {verb}"
        assert sorted(lab.ctl(verb, *words).stdout.splitlines()) == sorted([said, other])
