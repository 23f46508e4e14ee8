"""fleetctl rebalance: running units even out with few moves, and a second run moves nothing."""
import collections

import pytest
from cluster import service
from planning import ZONES, after, changes, on, plan, running, wait_running

LAB = ZONES
pytestmark = pytest.mark.machines(3)


def label(lab, machine):
    return f"{lab.id[machine][:8]}.../{lab.ip[machine]}"


@pytest.fixture(name="uneven")
def uneven_lab(lab):
    """Three units each on m1 and m2, none on m3, which was away meanwhile."""
    lab.run("m3", "systemctl", "stop", "fleet")
    try:
        lab.wait_members("m1", "m2", at="m1")
        names = [lab.file(f"u{i}.service") for i in range(6)]
        lab.ctl("start", *names, at="m1")
    finally:
        lab.run("m3", "systemctl", "start", "fleet")
    lab.wait_members(*lab.machines)
    before = running(lab)
    assert collections.Counter(before.values()) == {"m1": 3, "m2": 3}
    return before


def test_a_machine_that_has_returned_gets_its_share(lab, uneven):
    planned = plan(lab, "rebalance")
    assert collections.Counter(planned.values()) == {
        ("move", "m1", "m3"): 1, ("move", "m2", "m3"): 1}
    assert changes(lab, lab.ctl("plan", "rebalance", "-o", "json", status=1)) == planned
    dry = lab.ctl("rebalance", "--dry-run", status=1)
    assert dry.stderr == "2 moved\n" and running(lab) == uneven
    runs = lab.runs()

    done = lab.ctl("rebalance")
    assert sorted(done.stdout.splitlines()) == sorted(
        line for unit, (_, old, new) in planned.items() for line in (
            f"Unit {unit} moves from {label(lab, old)} to {label(lab, new)}",
            f"Unit {unit} launched on {label(lab, new)}"))
    wait_running(lab, after(uneven, planned))
    stayed = {key: run for key, run in runs.items() if key[1] not in planned}
    assert {key: run for key, run in lab.runs().items() if key in stayed} == stayed

    again = lab.ctl("rebalance")
    assert again.stdout == "" and "Nothing to do" in again.stderr
    assert plan(lab, "rebalance") == {}


def test_few_moves_without_waiting(lab, uneven):
    said = lab.ctl("rebalance", "--max-moves=1", "--no-block").stdout.split()
    assert said[0] == "Unit" and said.count("Unit") == 1, "one line, of what is to come"
    wait_running(lab, {**uneven, said[1]: "m3"})


def test_instances_even_out_over_zones_first(lab):
    text = service(fleet=["SpreadOver=zone"])
    lab.file("web@.service", text)
    for i, machine in enumerate(("m2", "m2", "m3", "m3")):
        lab.start(f"web@{i}.service", on(lab, machine))
        lab.file(f"web@{i}.service", text)
        lab.ctl("start", "--replace", f"web@{i}.service")
    assert list(running(lab).values()).count("m1") == 0
    lab.ctl("rebalance")
    assert list(running(lab).values()).count("m1") == 2


def test_units_that_may_not_move_stay(lab, uneven):
    del uneven
    lab.ctl("destroy", "u*")
    for i in range(3):
        lab.start(f"bound{i}.service", on(lab, "m1"))
    before = running(lab)
    done = lab.ctl("rebalance")
    assert done.stdout == "" and running(lab) == before
