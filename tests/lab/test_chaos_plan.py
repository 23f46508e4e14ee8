"""What lab/chaos will do and how it reads the registry, without machines."""
import itertools
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from fleetlab.chaos import faults, plan, protobuf, registry_watch, summary  # noqa: E402
from fleetlab.chaos.history import CLEAN_ENDS, GONE  # noqa: E402

MACHINES = ["m1", "m2", "m3"]


def steps(seed, count=100):
    return list(itertools.islice(plan.faults(seed, MACHINES, 30), count))


def test_a_seed_says_what_is_done():
    assert steps(7) == steps(7)
    assert steps(7) != steps(8)
    commands = [[(command.verb, command.subject.name, command.pause) for command in
                 itertools.islice(plan.commands(seed, plan.subjects(3), 0, 2), 50)]
                for seed in (7, 7, 8)]
    assert commands[0] == commands[1] != commands[2]


def test_each_kind_of_fault_comes_once_before_any_comes_again():
    first = steps(7, len(plan.KINDS))
    assert sorted(step.kind for step in first) == sorted(plan.KINDS)


def test_each_kind_of_fault_can_be_made():
    assert sorted(faults.kinds()) == sorted(plan.KINDS)


def test_the_clean_ends_are_kinds_of_fault():
    assert set(CLEAN_ENDS) <= set(plan.KINDS)


def test_no_fault_is_longer_than_it_may_be():
    assert max(step.seconds for step in plan_of_short_run()) <= 4


def plan_of_short_run():
    return itertools.islice(plan.faults(7, MACHINES, 4), 100)


def test_users_touch_each_unit_by_one_worker_only():
    shares = [{command.subject.name for command in
               itertools.islice(plan.commands(7, plan.subjects(3), worker, 2), 500)}
              for worker in (0, 1)]
    assert not shares[0] & shares[1]
    assert shares[0] | shares[1] == {each.name for each in plan.subjects(3)
                                     if len(each.verbs) > 1}


@pytest.mark.parametrize("machines", [3, 5])
def test_with_one_machine_away_every_unit_has_a_place(machines):
    apart = [each for each in plan.subjects(machines) if "Conflicts" in "".join(each.fleet)]
    assert 2 <= len(apart) < machines


def text(number, value):
    return bytes([number << 3 | 2, len(value)]) + value.encode()


def test_an_assignment_is_read():
    value = (text(1, "uid") + bytes([2 << 3, 0xAC, 0x02]) + text(3, "hash") + bytes([4 << 3, GONE])
             + text(15, "unknown"))
    change = registry_watch.parse("assignments/abc/x@1.service", value, False, 9, 5.0,
                                  {"abc": "m1"})
    assert (change.what, change.machine, change.unit, change.revision, change.time) == (
        "assignment", "m1", "x@1.service", 9, 5.0)
    assert (change.uid, change.generation, change.content, change.state) == (
        "uid", 300, "hash", GONE)


def test_a_machine_that_leaves_and_its_end_are_read():
    change = registry_watch.parse("machines/abc", bytes([9 << 3, 1]), False, 1, 0, {"abc": "m1"})
    assert change.leaving and not change.deleted
    assert registry_watch.parse("machines/abc", b"", True, 2, 0, {"abc": "m1"}).deleted


def test_reports_are_not_read():
    assert registry_watch.parse("states/abc/x.service", b"", False, 1, 0, {}) is None


def test_what_is_no_record_is_an_error():
    with pytest.raises((ValueError, IndexError)):
        protobuf.fields(bytes([7]))


def result(seed, **more):
    return {"seed": seed, "seconds": 600, "machines": 3, "runs": 10, "units": 5,
            "faults": {kind: 0 for kind in plan.KINDS} | {"crash": 2}, "violations": [],
            "second_copies": {"count": 4, "longest_after_return": 1.5 + seed},
            "converged_seconds": 3, "interruption_max": {"crash": 5.5},
            "failover_samples": {"crash": [4.0, 6.0]}, "not_made": {
                **plan.NOT_MADE, "reboot": "the run was too short"}, **more}


def test_the_table_adds_runs_up(tmp_path):
    files = []
    for seed in (1, 2):
        files.append(tmp_path / f"{seed}.json")
        files[-1].write_text(json.dumps(result(seed)))
    lines = summary.table(files).splitlines()
    for line in ("| runs (seeds) | 2 (1, 2) |", "| minutes | 20 |", "| violations | 0 |",
                 "| second copies of units whose machine was cut off | 8 |",
                 "| such a copy was stopped, after its machine was back, within | 3.5 s |",
                 "| crash | 4 | 5.5 s |", "| crash | 4 | 4.0 s | 5.0 s | 6.0 s |",
                 "| reboot | not made: the run was too short | |"):
        assert line in lines
    assert any(line.startswith("| clock step | not made: in the simulator") for line in lines)
