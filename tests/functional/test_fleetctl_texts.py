"""The text of a unit that is there already: what submit, load and start do about it."""
import pytest
from cluster import service

LAB = {"machines": 2, "ttl": 5}


def place(lab, name):
    machine = lab.where(name)
    return machine, lab.show(machine, name) if machine else None


def test_the_same_text_again_is_nothing_to_do(lab):
    machine = lab.start("same.service")
    before = lab.show(machine, "same.service")
    done = lab.ctl("start", "--replace", "same")
    assert "Found same Unit(same.service) in Registry, nothing to do" in done.stdout + done.stderr
    assert lab.show(machine, "same.service") == before


@pytest.mark.parametrize("verb", ["submit", "load", "start"])
def test_another_text_without_replace_is_warned_of_and_not_used(lab, verb):
    lab.file("kept.service", service("Environment=V=1"))
    lab.ctl(verb, "kept")
    lab.file("kept.service", service("Environment=V=2"))
    done = lab.ctl(verb, "kept")
    assert done.stderr.startswith("WARNING: Unit kept.service in registry differs from local "
                                  "unit file ")
    assert done.stderr.rstrip().endswith("Add --replace to override.")
    assert "V=1" in lab.ctl("cat", "kept").stdout


def test_submit_replace_changes_the_text(lab):
    lab.file("new.service", service("Environment=V=1"))
    lab.ctl("submit", "new")
    lab.file("new.service", service("Environment=V=2"))
    assert "Unit new.service inactive\n" in lab.ctl("submit", "--replace", "new").stdout
    assert "V=2" in lab.ctl("cat", "new").stdout


def test_start_replace_restarts_the_unit_in_place_with_the_new_text(lab):
    machine = lab.start("roll.service", service("Environment=V=1"))
    before = lab.show(machine, "roll.service")
    lab.file("roll.service", service("Environment=V=2"))
    assert "Unit roll.service launched on" in lab.ctl("start", "--replace", "roll").stdout
    assert lab.where("roll.service") == machine
    after = lab.show(machine, "roll.service", "MainPID", "InvocationID", "Environment")
    assert after["InvocationID"] != before["InvocationID"]
    assert after["Environment"] == "V=2"
    assert "V=2" in lab.shell(machine, "cat /run/fleet/units/roll.service")


@pytest.mark.machines(2)
def test_start_replace_moves_the_unit_where_its_new_text_allows_it(lab):
    machine = lab.start("move.service", service("Environment=V=1"))
    other = next(name for name in lab.machines if name != machine)
    lab.file("move.service", service(fleet=[f"MachineID={lab.id[other]}"]))
    lab.ctl("start", "--replace", "move")
    assert lab.where("move.service") == other
    assert not lab.is_active(machine, "move.service")


def test_load_replace_loads_the_new_text(lab):
    lab.file("load.service", service("Environment=V=1"))
    lab.ctl("load", "load")
    lab.file("load.service", service("Environment=V=2"))
    assert "Unit load.service loaded on" in lab.ctl("load", "--replace", "load").stdout
    machine = next(iter(lab.states("load.service")))
    assert lab.show(machine, "load.service", "Environment", "ActiveState") == {
        "Environment": "V=2", "ActiveState": "inactive"}


@pytest.mark.parametrize("verb", ["submit", "load"])
def test_replace_by_a_lower_verb_is_refused_with_the_right_one(lab, verb):
    lab.start("up.service", service("Environment=V=1"))
    before = place(lab, "up.service")
    lab.file("up.service", service("Environment=V=2"))
    assert "start --replace" in lab.ctl(verb, "--replace", "up", status=1).stderr
    assert "V=1" in lab.ctl("cat", "up").stdout
    assert place(lab, "up.service") == before


def test_instances_follow_the_text_their_template_had_when_they_were_made(lab):
    lab.file("web@.service", service("Environment=V=1"))
    lab.ctl("submit", "web@.service")
    lab.ctl("start", "web@1")
    lab.file("web@.service", service("Environment=V=2"))
    lab.ctl("submit", "--replace", "web@.service")
    (lab.files / "web@.service").unlink()
    lab.ctl("start", "web@2")
    assert "V=1" in lab.ctl("cat", "web@1").stdout
    assert "V=2" in lab.ctl("cat", "web@2").stdout


def test_a_name_that_is_destroyed_can_be_used_again_with_another_text(lab):
    lab.start("again.service", service("Environment=V=1"))
    lab.ctl("destroy", "again")
    lab.file("again.service", service("Environment=V=2"))
    lab.ctl("start", "again")
    machine = lab.where("again.service")
    assert lab.show(machine, "again.service", "Environment")["Environment"] == "V=2"
