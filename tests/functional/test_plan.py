"""fleetctl plan: what is said to happen is what then happens."""
import pytest
from cluster import service, wait_for
from planning import ZONES, after, on, plan, running, wait_running

LAB = ZONES
pytestmark = pytest.mark.machines(3)


def test_a_start(lab):
    lab.start("other.service", on(lab, "m1"))
    big = service(fleet=["ReserveMemory=3G"])
    files = [lab.file(f"big{i}.service", big) for i in range(3)]
    files += [lab.file("web@.service", service(fleet=["SpreadOver=zone"]))[:-8] + "1.service"]
    lab.ctl("submit", "web@.service")
    planned = plan(lab, "start", *files)
    assert {unit: change for unit, (change, _, _) in planned.items()} == dict.fromkeys(
        files, "place")
    assert running(lab) == {"other.service": "m1"}, "nothing is changed"
    assert set(lab.units()) == {"other.service", "web@.service"}
    lab.ctl("start", *files)
    wait_running(lab, after({"other.service": "m1"}, planned))
    assert plan(lab, "start", *files) == {}


def test_a_start_that_waits(lab):
    lab.file("shy.service", service(fleet=["MachineMetadata=zone=c"]))
    planned = plan(lab, "start", "shy")
    assert planned == {"shy.service": ("wait", None, None)}
    done = lab.ctl("plan", "start", "shy", status=1)
    assert "zone=c" in done.stdout and done.stderr == "1 would wait\n"
    lab.ctl("start", "shy", status=6)
    assert plan(lab, "start", "shy") == {}, "it waits already"


def test_a_destroy_lets_others_run(lab):
    lab.start("first.service", on(lab, "m1", "ReserveMemory=3G"))
    lab.file("second.service", on(lab, "m1", "ReserveMemory=3G"))
    lab.ctl("start", "second", status=6)
    planned = plan(lab, "destroy", "fir*")
    assert planned == {"first.service": ("stop", "m1", None),
                       "second.service": ("place", None, "m1")}
    lab.ctl("destroy", "first")
    wait_running(lab, {"second.service": "m1"})


def test_a_text_that_is_replaced(lab):
    lab.start("mover.service", on(lab, "m1"))
    lab.file("mover.service", on(lab, "m2"))
    done = lab.ctl("plan", "start", "mover", status=0)
    assert "differs from local unit file" in done.stderr
    assert plan(lab, "start", "--replace", "mover") == {"mover.service": ("move", "m1", "m2")}
    lab.ctl("start", "--replace", "mover")
    wait_running(lab, {"mover.service": "m2"})


def test_a_scale(lab):
    lab.file("web@.service", service(fleet=["Conflicts=web@*.service"]))
    lab.ctl("submit", "web@.service")
    lab.ctl("start", "web@1", "web@4")
    before = running(lab)
    planned = plan(lab, "scale", "web@", "2")
    assert {unit: change for unit, (change, _, _) in planned.items()} == {
        "web@2.service": "place"}, "web@4 was made by hand"
    lab.ctl("scale", "web@", "2")
    assert set(running(lab)) == set(after(before, planned))


def test_a_drain(lab):
    names = [lab.file(f"u{i}.service") for i in range(6)]
    lab.ctl("start", *names)
    lab.start("bound.service", on(lab, "m2"))
    before = running(lab)
    planned = plan(lab, "drain", lab.id["m2"])
    assert planned["bound.service"] == ("stay", "m2", None)
    assert set(planned) == {unit for unit, machine in before.items() if machine == "m2"}
    lab.ctl("drain", "--no-block", lab.id["m2"])
    try:
        wait_running(lab, after(before, planned))
    finally:
        lab.ctl("uncordon", lab.id["m2"])


def test_the_loss_of_a_machine(lab):
    lab.start("pair.service", on(lab, "m1", "ReserveMemory=1G"))
    for i in range(3):
        lab.start(f"u{i}.service", service(fleet=["ReserveMemory=2G", "Conflicts=u*.service"]))
    before = running(lab)
    planned = plan(lab, "lose", lab.id["m3"][:12])
    gone = {unit for unit, machine in before.items() if machine == "m3"}
    assert set(planned) == gone and [change for change, *_ in planned.values()] == ["wait"]
    lab.lab("crash", "m3")
    lab.wait_members("m1", "m2", at="m1")
    wait_for(lambda: all(lab.units("m1")[unit]["progress"] == "waiting" for unit in gone),
             lambda: f"{gone} to wait: {lab.units('m1')}")
    wait_running(lab, after(before, planned), at="m1")
    lab.lab("boot", "m3")


def test_a_machine_more(lab):
    for i in range(3):
        lab.start(f"u{i}.service", service(fleet=["Conflicts=u*.service"]))
    lab.file("u3.service", service(fleet=["Conflicts=u*.service", "MachineMetadata=zone=b"]))
    lab.ctl("start", "u3", status=6)
    assert plan(lab, "add", "--like", lab.id["m1"]) == {}, "it has the wrong zone"
    planned = plan(lab, "add", "--like", lab.id["m2"], "-n", "2")
    assert set(planned) == {"u3.service"}
    change, _, machine = planned["u3.service"]
    assert change == "place" and machine not in lab.machines


def test_errors_are_none_of_the_two_answers(lab):
    lab.start("a.service")
    for arguments, status in ((["start", "none"], 4), (["destroy", "none"], 4),
                              (["lose", "0" * 32], 4), (["drain"], 2), (["stop", "a"], 2),
                              (["scale", "a", "2"], 2), (["lose", ""], 2)):
        assert lab.ctl("plan", *arguments, status=status).stderr.startswith("Error: ")
    assert running(lab) == {"a.service": lab.where("a.service")}
