"""Zones, reservations and priorities: the keys of [X-Fleet] that fleet 1.0 did not have."""
import collections

import pytest
from cluster import service, wait_for
from http_client import api_of
from planning import ZONES, on

LAB = ZONES
pytestmark = pytest.mark.machines(3)


def start(lab, units):
    """Starts units, {name: text}, in one command; {name: machine}."""
    for name, text in units.items():
        lab.file(name, text)
    lab.ctl("start", *units)
    return {name: lab.where(name) for name in units}


def refused(lab, name, *lines):
    lab.file(name, service(fleet=lines))
    return lab.ctl("start", name, status=6).stderr


@pytest.fixture(name="rezoned")
def rezoned_machine(lab):
    """Moves m3 into zone c, until the test ends."""
    api, path = api_of(lab), f"/{lab.id['m3']}/metadata/zone"
    yield lambda: api.patch({"op": "replace", "path": path, "value": "c"})
    api.patch({"op": "replace", "path": path, "value": "b"})


def test_units_that_conflict_within_a_zone_run_in_different_zones(lab, rezoned):
    key = "ConflictsWithin=zone=db*.service"
    lab.start("db1.service", on(lab, "m2", key))
    assert lab.start("db2.service", service(fleet=[key])) == "m1"
    assert "conflict within zone with db" in refused(lab, "db3.service", key)
    assert "db1.service" in refused(lab, "db4.service"), "whichever declares it"
    lab.ctl("destroy", "db4")
    rezoned()
    assert lab.wait_where("db3.service") == "m3", "a zone of its own"


def test_instances_spread_over_zones_before_they_spread_over_machines(lab):
    lab.file("web@.service", service(fleet=["SpreadOver=zone"]))
    names = [f"web@{i}.service" for i in range(1, 7)]
    lab.ctl("start", *names)
    machines = collections.Counter(map(lab.where, names))
    assert machines["m1"] == 3 and abs(machines["m2"] - machines["m3"]) == 1


def test_a_unit_is_collocated_by_zone(lab):
    lab.start("db.service", on(lab, "m2"))
    text = service(fleet=["CollocateWithin=zone=db.service"])
    where = start(lab, {f"near{i}.service": text for i in range(4)})
    assert set(where.values()) == {"m2", "m3"}
    assert "nothing.service" in refused(lab, "lost.service",
                                        "CollocateWithin=zone=nothing.service")


def test_no_more_is_reserved_than_there_is(lab):
    text = service(fleet=["ReserveMemory=3G"])
    where = start(lab, {f"big{i}.service": text for i in range(3)})
    assert set(where.values()) == {"m1", "m2", "m3"}
    said = refused(lab, "big3.service", "ReserveMemory=3G")
    assert "3 of 3 have no room for ReserveMemory=3G" in said
    assert "\n  " in said and "at most 1G" in said, "what would help"
    assert lab.start("small.service", service(fleet=["ReserveMemory=1G"])) is not None
    assert "ReserveCPU=5" in refused(lab, "cores.service", "ReserveCPU=5")
    lab.ctl("destroy", "big1")
    assert lab.wait_where("big3.service") == where["big1.service"]


def test_what_a_unit_reserves_is_balanced(lab):
    lab.start("half.service", on(lab, "m1", "ReserveMemory=2G"))
    lab.start("quarter.service", on(lab, "m2", "ReserveMemory=1G"))
    assert lab.start("first.service", service(fleet=["ReserveMemory=2G"])) == "m3"
    assert lab.start("second.service", service(fleet=["ReserveMemory=1G"])) == "m2"


def test_a_unit_of_higher_priority_pushes_out_a_lower_one_and_gives_way_again(lab):
    low = service(fleet=["ReserveMemory=3G", "Priority=-1"])
    where = start(lab, {f"low{i}.service": low for i in range(3)})
    machine = lab.start("high.service", service(fleet=["ReserveMemory=3G", "Priority=5"]))
    loser = next(name for name, there in where.items() if there == machine)
    wait_for(lambda: lab.unit(loser).get("reason"), lambda: f"a reason: {lab.unit(loser)}")
    assert lab.unit(loser)["progress"] == "waiting"
    kept = {name: there for name, there in where.items() if name != loser}
    assert {name: lab.where(name) for name in kept} == kept
    assert "ReserveMemory" in refused(lab, "equal.service", "ReserveMemory=3G", "Priority=-1")
    lab.ctl("destroy", "equal", "high")
    assert lab.wait_where(loser) == machine


def test_units_that_share_a_machine_are_placed_where_they_all_fit(lab):
    lab.start("big.service", on(lab, "m1", "ReserveMemory=2G"))
    lab.start("bigger.service", on(lab, "m2", "ReserveMemory=2G"))
    where = start(lab, {
        "app.service": service(fleet=["ReserveMemory=2G"]),
        "side.service": service(fleet=["ReserveMemory=2G", "MachineOf=app.service"])})
    assert where == {"app.service": "m3", "side.service": "m3"}
