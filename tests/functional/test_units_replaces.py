"""Replaces: a unit takes the machine of another one, which moves to another eligible machine."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 5}

# Only one unit on a machine can have it at a time: a start while it is taken fails.
EXCLUSIVE = ["ExecStartPre=/bin/mkdir /run/exclusive", "ExecStopPost=/bin/rmdir /run/exclusive"]


def replaces(*globs, lines=(), fleet=()):
    return service(*lines, fleet=[*(f"Replaces={glob}" for glob in globs), *fleet])


@pytest.mark.machines(2)
def test_the_new_unit_has_the_machine_and_the_old_one_runs_elsewhere(lab):
    """The old one has stopped before the new one starts."""
    machine = lab.start("old.service", service(*EXCLUSIVE))
    assert lab.start("new.service", replaces("old.service", lines=EXCLUSIVE)) == machine
    moved = lab.wait_where("old.service", lambda where: where != machine)
    assert lab.is_active(moved, "old.service") and not lab.is_active(machine, "old.service")
    assert lab.is_active(machine, "new.service")
    assert "old.service" not in lab.local_units(machine)


@pytest.mark.machines(2)
def test_a_glob_names_what_is_replaced(lab):
    lab.file("app@.service")
    lab.ctl("submit", "app@.service")
    lab.ctl("start", "app@1")
    machine = lab.where("app@1.service")
    assert lab.start("new.service", replaces("none-*", "app@[0-9].service")) == machine
    lab.wait_where("app@1.service", lambda where: where != machine)


@pytest.mark.machines(3)
def test_the_old_unit_goes_only_where_it_may_run(lab):
    for name, machine in (("busy.service", "m2"), ("busy2.service", "m2"), ("old.service", "m1")):
        lab.start(name, service(fleet=[f"MachineID={lab.id[machine]}"]))
    lab.file("old.service", service(fleet=["Conflicts=busy*.service"]))
    lab.ctl("start", "--replace", "old")
    assert lab.where("old.service") == "m1", "it stays where it may"
    lab.start("new.service", replaces("old.service", fleet=[f"MachineID={lab.id['m1']}"]))
    assert lab.where("new.service") == "m1"
    assert lab.wait_where("old.service", lambda where: where != "m1") == "m3"


@pytest.mark.machines(2)
def test_a_unit_that_another_follows_stays_where_it_is(lab):
    machine = lab.start("old.service")
    lab.start("side.service", service(fleet=["MachineOf=old.service"]))
    before = lab.show(machine, "old.service"), lab.show(machine, "side.service")
    assert lab.start("new.service", replaces("old.service"))
    assert (lab.show(machine, "old.service"), lab.show(machine, "side.service")) == before


@pytest.mark.machines(2)
def test_a_unit_that_is_only_loaded_is_replaced_too(lab):
    lab.file("old.service")
    lab.ctl("load", "old")
    (machine,) = lab.states("old.service")
    assert lab.start("new.service", replaces("old.service")) == machine
    wait_for(lambda: list(lab.states("old.service").values()) == ["inactive"]
             and machine not in lab.states("old.service"), lambda: lab.states("old.service"))


def test_a_unit_that_may_run_nowhere_else_stays_and_the_new_one_is_placed_all_the_same(lab):
    machine = lab.start("old.service", service(fleet=[f"MachineID={lab.id['m1']}"]))
    before = lab.show(machine, "old.service")
    assert lab.start("new.service", replaces("old.service"))
    assert lab.show(machine, "old.service") == before
    pinned = replaces("old.service", fleet=[f"MachineID={lab.id['m1']}"])
    assert lab.start("newer.service", pinned) == "m1", "beside it"
    assert lab.show(machine, "old.service") == before


def test_a_unit_that_replaces_nothing_is_placed_as_any_other(lab):
    lab.file("known.service")
    lab.ctl("submit", "known")
    assert lab.start("new.service", replaces("known.service", "nothing*"))
    assert lab.unit("known.service")["desiredState"] == "inactive"


@pytest.mark.machines(2)
def test_it_happens_once(lab):
    """The old unit may come beside the new one later: Replaces is about the first placement."""
    machine = lab.start("old.service")
    lab.start("new.service", replaces("old.service"))
    lab.wait_where("old.service", lambda where: where != machine)
    lab.file("old.service", service(fleet=[f"MachineID={lab.id[machine]}"]))
    lab.ctl("start", "--replace", "old")
    assert lab.where("old.service") == machine
    before = {name: lab.show(machine, name) for name in ("old.service", "new.service")}
    lab.start("other.service")
    lab.ctl("destroy", "other")
    assert {name: lab.show(machine, name) for name in before} == before


@pytest.mark.machines(2)
def test_in_a_circle_the_unit_that_runs_stays_and_the_later_one_is_told_why(lab):
    machine = lab.start("first.service", replaces("second.service"))
    before = lab.show(machine, "first.service")
    lab.file("second.service", replaces("first.service"))
    done = lab.ctl("start", "--no-block", "second")
    assert done.stdout == "Triggered unit second.service start\n"
    reason = wait_for(lambda: lab.unit("second.service").get("reason"), "the reason")
    assert "circle" in reason and "first.service" in reason and "second.service" in reason
    assert "circle" in lab.ctl("start", "second", status=6).stderr
    assert lab.states("second.service") == {}
    assert lab.show(machine, "first.service") == before
    lab.ctl("destroy", "first")
    assert lab.wait_where("second.service")


@pytest.mark.machines(2)
def test_a_circle_through_a_third_unit_is_one_too(lab):
    lab.start("a.service", replaces("b.service"))
    lab.start("b.service", replaces("c.*"))
    lab.file("c.service", replaces("a.service"))
    lab.ctl("start", "--no-block", "c")
    reason = wait_for(lambda: lab.unit("c.service").get("reason"), "the reason")
    assert all(f"{name}.service" in reason for name in "abc"), reason
    assert lab.where("a.service") and lab.where("b.service")
    assert lab.states("c.service") == {}
