"""Networks that drop, delay or throttle packets."""
import pytest
from scene import TTL


@pytest.mark.parametrize("kind, draw", [
    ("partition", 0), ("partition from etcd", 0), ("one-way partition", 0),
    ("one-way partition", 1)])
def test_a_machine_cut_off_keeps_its_units_until_it_is_back_and_no_longer(scene, kind, draw):
    before, cut = scene.runs(), scene.on("m3")
    scene.break_it(kind, "m3", seconds=2 * TTL + 1, draw=draw)
    cut_runs = [run for run in scene.history().runs if (run.unit, run.machine) in before
                and run.invocation == before[run.unit, run.machine] and run.machine == "m3"]
    assert cut and len(cut_runs) == len(cut)
    fault = scene.history().faults[-1]
    assert all(run.end > fault.end - 1 for run in cut_runs), "nothing may stop it meanwhile"
    scene.settle()
    after = scene.runs()
    assert {key: run for key, run in before.items() if key[1] != "m3"}.items() <= after.items()


@pytest.mark.parametrize("kind", ["partition", "partition from etcd"])
def test_a_partition_shorter_than_the_ttl_changes_nothing(scene, kind):
    before = scene.runs()
    scene.break_it(kind, "m2", seconds=TTL / 4)
    scene.settle()
    assert scene.runs() == before


def test_machines_that_do_not_reach_each_other_need_not(scene):
    before = scene.runs()
    scene.break_it("partition from a machine", "m1", seconds=TTL + 1)
    scene.settle()
    assert scene.runs() == before


def test_a_network_that_flaps_at_half_the_ttl_harms_no_other_machine(scene):
    before = scene.runs()
    scene.break_it("flapping network", "m1", seconds=3 * TTL)
    scene.settle()
    after = scene.runs()
    assert {key: run for key, run in before.items() if key[1] != "m1"}.items() <= after.items()


@pytest.mark.parametrize("kind, draw", [("delay", 1), ("low rate", 1)])
def test_a_slow_network_changes_nothing(scene, kind, draw):
    before = scene.runs()
    scene.break_it(kind, "m2", seconds=TTL + 2, draw=draw)
    scene.settle()
    assert scene.runs() == before


def test_a_lossy_network_harms_no_other_machine(scene):
    before = scene.runs()
    scene.break_it("packet loss", "m2", seconds=2 * TTL)
    scene.settle()
    after = scene.runs()
    assert {key: run for key, run in before.items() if key[1] != "m2"}.items() <= after.items()
