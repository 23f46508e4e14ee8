"""The judge of lab/chaos, on made-up records: each violation is found, and each thing that S1
allows is allowed. No machines, no root."""
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from fleetlab.chaos import checker, journals, measure  # noqa: E402  (the path must be set first)
from fleetlab.chaos.history import (  # noqa: E402
    FOREVER, GONE, LAUNCHED, LOADED, OWN, POWER, RUNNING, SHUTDOWN, STOPPED, Change, Fault,
    History, Order, Run, Unit)

TTL = 5
UNITS = {name: Unit(name, **more) for name, more in {
    "u": {}, "all": {"is_global": True}, "once": {"ends_itself": True},
    "slow": {"stop_seconds": 20}, "single": {"stops_isolated": True},
    "leader": {"related": ("follower",)},
    "follower": {"related": ("leader",)}}.items()}


class Story:
    """A history that is told step by step; each write is the next revision."""

    def __init__(self, machines=("m1", "m2", "m3")):
        self.history = History(UNITS, TTL)
        self.revision = 0
        for machine in machines:
            self.member(0, machine)

    def write(self, time, what, **fields):
        self.revision += 1
        fields.setdefault("generation", self.revision - 1)
        self.history.changes.append(Change(time, self.revision, what, **fields))

    def member(self, time, machine, **fields):
        self.write(time, "machine", machine=machine, **fields)

    def lost(self, time, machine):
        self.write(time, "machine", machine=machine, deleted=True)

    def assign(self, time, machine, unit="u", state=LAUNCHED, **fields):
        self.write(time, "assignment", machine=machine, unit=unit, state=state,
                   **{"uid": "1", "content": "a", **fields})

    def user(self, time, unit="u", state=LAUNCHED, **fields):
        self.write(time, "unit", unit=unit, state=state, **{"uid": "1", "content": "a", **fields})

    def runs(self, machine, start, end=FOREVER, how=None, unit="u", ordered=None, boot="b"):
        how = how or (RUNNING if end == FOREVER else STOPPED)
        self.history.runs.append(Run(
            unit, machine, boot, f"{machine}{start}", start, end, how,
            ordered if ordered is not None else (end if how == STOPPED else FOREVER)))

    def fault(self, kind, start, end, *machines, cuts=True):
        self.history.faults.append(Fault(kind, start, end, machines, cuts=cuts))

    def found(self):
        return [(each.invariant, each.text) for each in checker.check(self.history)]


def started(unit="u", machine="m1"):
    """A unit that was started on a machine at 10."""
    story = Story()
    story.user(10, unit)
    story.assign(10, machine, unit)
    return story


def test_one_copy_that_runs_on_is_well():
    story = started()
    story.runs("m1", 11)
    assert story.found() == []


def cut_off_and_moved(back=40, stopped=44, moved=26, **fault):
    """m1 is cut off from 20 on, its lease ends at 25, m2 runs its unit, m1 is back and stops."""
    story = started(**fault)
    unit = fault.get("unit", "u")
    story.fault("partition", 20, back, "m1")
    story.lost(25, "m1")
    story.assign(25.1, "m1", unit, GONE)
    story.assign(25.1, "m2", unit)
    story.member(back + 1, "m1")
    story.runs("m1", 11, stopped, unit=unit)
    story.runs("m2", moved, unit=unit)
    return story


def test_a_second_copy_is_allowed_until_the_lost_machine_is_back_and_has_stopped_it():
    assert cut_off_and_moved().found() == []


def test_a_second_copy_that_outlives_the_return_of_the_machine_is_found():
    story = cut_off_and_moved(stopped=40 + TTL + checker.RECONNECT_SECONDS + 0.5)
    [(invariant, text)] = story.found()
    assert invariant == "S1" and "m1 could reach its registry for 10.5 s" in text


def test_a_second_copy_may_take_the_units_own_time_to_stop():
    story = cut_off_and_moved(unit="slow", stopped=40 + TTL + checker.RECONNECT_SECONDS + 19)
    assert story.found() == []


def test_a_second_copy_that_never_stops_is_found():
    story = cut_off_and_moved(stopped=FOREVER)
    assert [invariant for invariant, _ in story.found()] == ["S1"]


def test_a_machine_that_is_cut_off_again_has_its_time_again():
    story = cut_off_and_moved(back=40, stopped=62)
    story.fault("etcd paused", 46, 58)
    assert story.found() == []


def test_a_fault_that_cuts_nobody_off_excuses_nothing():
    story = cut_off_and_moved(back=40, stopped=62)
    story.fault("disk full", 41, 61, "m1", cuts=False)
    assert [invariant for invariant, _ in story.found()] == ["S1"]


def test_a_fault_of_another_machine_excuses_nothing():
    story = cut_off_and_moved(back=40, stopped=62)
    story.fault("partition", 41, 61, "m2")
    assert [invariant for invariant, _ in story.found()] == ["S1"]


def test_a_copy_that_was_given_away_before_the_lease_ended_is_found():
    story = started()
    story.fault("partition", 20, 40, "m1")
    story.assign(24, "m2")
    story.lost(25, "m1")
    story.assign(25, "m1", state=GONE)
    story.runs("m1", 11, 42)
    story.runs("m2", 26)
    [(invariant, text)] = story.found()
    assert invariant == "S1" and "m1 was a member" in text


def test_it_counts_when_it_was_decided_not_when_it_began():
    """By the time the copy began the lease had ended; but it was decided before."""
    story = started()
    story.assign(24, "m2")
    story.lost(25, "m1")
    story.assign(25, "m1", state=GONE)
    story.runs("m1", 11, 28)
    story.runs("m2", 27)
    assert ("S1") in [invariant for invariant, _ in story.found()]


def test_a_machine_that_had_joined_again_is_not_lost():
    story = started()
    story.fault("partition", 20, 26, "m1")
    story.lost(25, "m1")
    story.member(27, "m1")
    story.assign(28, "m2")
    story.assign(28, "m1", state=GONE)
    story.runs("m1", 11, 30)
    story.runs("m2", 29)
    assert "S1" in [invariant for invariant, _ in story.found()]


def moved_on(back_at):
    """m1 is lost and its unit moves to m2; m1 is back, and m2 is lost in its turn: it moves on."""
    story = started()
    story.fault("partition", 20, back_at, "m1")
    story.lost(25, "m1")
    story.assign(25, "m1", state=GONE)
    story.assign(25, "m2")
    story.runs("m2", 26, 30, POWER)
    story.member(back_at, "m1")
    return story


def test_a_copy_left_behind_waits_for_its_machine_also_when_the_unit_moves_on():
    story = moved_on(back_at=34)
    story.lost(35, "m2")
    story.assign(35, "m2", state=GONE)
    story.assign(35, "m3")
    story.runs("m1", 11, 36)
    story.runs("m3", 35.5)
    assert story.found() == []


def test_a_copy_left_behind_does_not_outlive_the_return_because_the_unit_moved_on():
    story = moved_on(back_at=34)
    story.lost(35, "m2")
    story.assign(35, "m2", state=GONE)
    story.assign(50, "m3")
    story.runs("m1", 11, 51)
    story.runs("m3", 50.5)
    [(invariant, text)] = story.found()
    assert invariant == "S1" and "could reach its registry for 17.0 s" in text


def test_a_machine_that_got_the_unit_back_has_to_be_lost_anew():
    story = moved_on(back_at=34)
    story.lost(35, "m2")
    story.assign(35, "m1")
    story.assign(40, "m3")
    story.runs("m1", 11, 42)
    story.runs("m3", 41)
    assert "S1" in [invariant for invariant, _ in story.found()]


def test_a_tombstone_right_after_the_start_does_not_hide_who_had_it():
    story = cut_off_and_moved(stopped=44)
    story.history.runs[-1] = replace(story.history.runs[-1], end=26.3, how=STOPPED, ordered=26.2)
    story.user(26.1, deleted=True)
    story.assign(26.1, "m2", state=GONE)
    assert story.found() == []


def test_an_assignment_that_the_watcher_saw_late_counts():
    story = started()
    story.runs("m1", 9.5)
    story.fault("partition", 20, 40, "m1")
    story.lost(25, "m1")
    story.assign(25.8, "m1", state=GONE)
    story.assign(25.8, "m2")
    story.runs("m2", 25.5)
    story.member(41, "m1")
    story.history.runs[0].end, story.history.runs[0].how = 42, STOPPED
    story.history.runs[0].ordered = 42
    assert story.found() == []


def test_a_copy_of_a_machine_that_left_the_cluster_is_found():
    story = started()
    story.member(20, "m1", leaving=True)
    story.lost(21, "m1")
    story.assign(21, "m2")
    story.runs("m1", 11, 30)
    story.runs("m2", 22)
    story.history.outages.append(("m1", 19, 31))
    [(invariant, text)] = story.found()
    assert invariant == "S1" and "had left the cluster" in text


def test_a_machine_that_was_leaving_when_it_was_cut_off_is_lost_like_any_other():
    story = started()
    story.member(20, "m1", leaving=True)
    story.fault("fleetd stopped", 19, 31, "m1")
    story.history.outages.append(("m1", 19.5, 31))
    story.lost(26, "m1")
    story.assign(26, "m1", state=GONE)
    story.assign(26, "m2")
    story.runs("m1", 11, 30)
    story.runs("m2", 27)
    assert [invariant for invariant, _ in story.found()] == ["S1"]
    story.fault("etcd paused", 19.5, 25.9)
    assert story.found() == []


def test_a_copy_that_nothing_assigned_is_found():
    story = started()
    story.runs("m1", 11)
    story.runs("m2", 20)
    [(invariant, text)] = story.found()
    assert invariant == "S1" and "nothing assigned it to m2" in text


def test_the_copy_that_is_out_of_date_may_be_the_one_that_began_later():
    """m1 was told to start it, was cut off, and only then did."""
    story = started()
    story.fault("fleetd paused", 10.5, 40, "m1")
    story.lost(16, "m1")
    story.assign(16, "m1", state=GONE)
    story.assign(16, "m2")
    story.member(41, "m1")
    story.runs("m2", 17)
    story.runs("m1", 39.9, 42)
    assert story.found() == []


def test_a_unit_that_stops_when_isolated_never_runs_twice():
    [(invariant, text)] = cut_off_and_moved(unit="single").found()
    assert invariant == "S1" and "OnIsolation=stop" in text


def test_a_unit_that_stops_when_isolated_does_so_without_an_order():
    story = cut_off_and_moved(unit="single", stopped=24.5)
    story.history.runs[0].how = OWN
    assert story.found() == []
    story.history.faults.clear()
    assert [invariant for invariant, _ in story.found()] == ["S3"]


def test_copies_of_a_global_unit_are_no_second_copies():
    story = Story()
    story.user(10, "all")
    for machine in ("m1", "m2"):
        story.assign(10, machine, "all")
        story.runs(machine, 11, unit="all")
    assert story.found() == []


def test_a_hand_over_without_overlap_is_well():
    story = started()
    story.member(20, "m1", leaving=True)
    story.assign(21, "m1", state=GONE)
    story.assign(22, "m2")
    story.runs("m1", 11, 21.5)
    story.runs("m2", 22.5)
    story.history.outages.append(("m1", 20, 25))
    assert story.found() == []


def test_a_crashed_machine_runs_nothing_any_more():
    story = started()
    story.fault("crash", 20, 40, "m1")
    story.lost(25, "m1")
    story.assign(25, "m1", state=GONE)
    story.assign(25, "m2")
    story.runs("m1", 11, 20.1, POWER)
    story.runs("m2", 26)
    assert story.found() == []


# --- S3 ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("how", [POWER, SHUTDOWN])
def test_what_ends_with_its_machine_needs_no_order(how):
    story = started()
    story.runs("m1", 11, 20, how)
    assert story.found() == []


def test_a_stop_that_fleet_never_decided_is_found():
    story = started()
    story.runs("m1", 11, 20)
    [(invariant, text)] = story.found()
    assert invariant == "S3" and "nothing in its assignment said so" in text


def test_an_assignment_that_is_deleted_is_no_reason_to_stop():
    """Not even of a unit that was destroyed: a tombstone says so."""
    story = started()
    story.user(15, deleted=True)
    story.write(15, "assignment", machine="m1", unit="u", deleted=True)
    story.runs("m1", 11, 20)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


@pytest.mark.parametrize("told", [
    {"state": LOADED}, {"deleted": True}, {"content": "b"}, {"restarts": 1}, {"uid": "2"}])
def test_a_stop_that_a_user_ordered_is_well(told):
    story = started()
    story.user(19, **told)
    story.assign(19.5, "m1", state=GONE)
    story.runs("m1", 11, 20)
    assert story.found() == []


def test_an_order_to_start_is_no_order_to_stop():
    story = started()
    story.user(19, starts=1)
    story.assign(19.5, "m1", state=GONE)
    story.runs("m1", 11, 20)
    [(invariant, text)] = story.found()
    assert invariant == "S3" and "without an order" in text


def test_an_order_that_was_carried_out_explains_no_second_stop():
    story = Story()
    story.user(8)
    story.user(9, restarts=1)
    story.assign(10, "m1", restarts=1)
    story.assign(19.5, "m1", state=GONE, restarts=1)
    story.runs("m1", 11, 20)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


def test_an_order_for_another_unit_explains_nothing():
    story = started()
    story.user(9, "slow")
    story.user(19, "slow", state=LOADED)
    story.assign(19.5, "m1", state=GONE)
    story.runs("m1", 11, 20)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


def test_an_order_for_what_it_belongs_to_explains_its_stop():
    story = started("follower")
    story.user(9, "leader")
    story.user(19, "leader", content="b")
    story.assign(19.5, "m1", "follower", GONE)
    story.runs("m1", 11, 20, unit="follower")
    assert story.found() == []


def test_a_restart_in_place_is_well():
    story = started()
    story.user(19, restarts=1)
    story.assign(19.5, "m1", restarts=1)
    story.runs("m1", 11, 20)
    story.runs("m1", 20.1)
    assert story.found() == []


def test_an_assignment_that_says_the_same_again_stops_nothing():
    story = started()
    story.user(19, state=LOADED)
    story.assign(19.5, "m1", starts=2)
    story.runs("m1", 11, 20)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


def test_what_ends_by_itself_is_well_only_if_it_is_made_so():
    story = started("once")
    story.runs("m1", 11, 12, OWN, unit="once")
    assert story.found() == []
    story = started()
    story.runs("m1", 11, 12, OWN)
    [(invariant, text)] = story.found()
    assert invariant == "S3" and "by itself" in text


def test_a_user_who_stops_fleetd_stops_its_units():
    story = started()
    story.history.outages.append(("m1", 19, 25))
    story.runs("m1", 11, 20)
    assert story.found() == []


def test_a_fleetd_that_is_stopped_elsewhere_explains_nothing():
    story = started()
    story.history.outages.append(("m2", 19, 25))
    story.runs("m1", 11, 20)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


def test_a_loss_that_came_after_the_stop_does_not_explain_it():
    story = started()
    story.runs("m1", 11, 20)
    story.lost(25, "m1")
    story.assign(25, "m1", state=GONE)
    assert [invariant for invariant, _ in story.found()] == ["S3"]


# --- L1 ------------------------------------------------------------------------------------------

def test_what_is_as_it_is_wanted_is_not_misplaced():
    actual = {"m1": {"u", "all", "leader", "follower"}, "m2": {"all", "slow", "single"}}
    wanted = {name: "launched" for name in UNITS}
    assert checker.misplaced(History(UNITS, TTL), wanted, actual, ["m1", "m2"]) == []


@pytest.mark.parametrize("name, state, where, says", [
    ("u", "launched", (), "runs on no machine"),
    ("u", "launched", ("m1", "m2"), "runs on m1, m2"),
    ("u", "loaded", ("m1",), "u (loaded) runs on m1"),
    ("u", None, ("m2",), "u (destroyed) runs on m2"),
    ("all", "launched", ("m1",), "not on m1, m2"),
    ("all", None, ("m1",), "all (destroyed) runs on m1")])
def test_what_is_not_as_it_is_wanted_is_misplaced(name, state, where, says):
    history = History({name: UNITS[name]}, TTL)
    actual = {machine: {name} if machine in where else set() for machine in ("m1", "m2")}
    [text] = checker.misplaced(history, {name: state} if state else {}, actual, ["m1", "m2"])
    assert says in text


def test_a_mass_loss_may_hold_everything_up():
    story = Story()
    assert checker.convergence_seconds(story.history, 100) == 2 * TTL + 10 + 20
    story.lost(90, "m1")
    assert checker.convergence_seconds(story.history, 100) == 2 * TTL + 10 + 20
    story.lost(91, "m2")
    assert checker.convergence_seconds(story.history, 100) == 2 * TTL + 10 + 20 + 60


# --- from journals to runs -----------------------------------------------------------------------

def entry(time, message, unit="u", invocation="i1", boot="b1", job=""):
    return {"message": message, "unit": unit, "invocation": invocation, "job": job, "boot": boot,
            "time": time}


def of(entries, powers=()):
    return [(run.start, run.end, run.how) for run in
            journals.runs("m1", entries, powers, {"u", "once"})]


def test_a_stop_job_makes_it_a_stop_and_nothing_else_does():
    assert of([entry(1, journals.STARTED), entry(5, journals.STOPPING, job="stop"),
               entry(7, journals.ENDED_WELL), entry(7.1, journals.ALL_STOPPED)]) == [
        (1, 7, STOPPED)]
    assert of([entry(1, journals.STARTED), entry(7, journals.FAILED)]) == [(1, 7, OWN)]


def test_a_oneshot_runs_from_its_starting():
    assert of([entry(1, journals.STARTING), entry(2, journals.ENDED_WELL),
               entry(2.1, journals.STARTED)]) == [(1, 2, OWN)]


def test_a_restart_is_two_runs():
    assert of([entry(1, journals.STARTED), entry(5, journals.STOPPING),
               entry(6, journals.ENDED_WELL), entry(6.1, journals.STARTED, invocation="i2")]) == [
        (1, 6, STOPPED), (6.1, FOREVER, RUNNING)]


def test_power_loss_ends_every_run_of_that_boot():
    entries = [entry(1, journals.STARTED), entry(20, journals.STARTED, boot="b2",
                                                 invocation="i2")]
    assert of(entries, [(9, "power loss")]) == [(1, 9, POWER), (20, FOREVER, RUNNING)]


def test_a_run_that_the_journal_does_not_end_ended_with_the_next_boot_at_the_latest():
    entries = [entry(1, journals.STARTED), entry(20, journals.STARTED, boot="b2",
                                                 invocation="i2")]
    assert of(entries) == [(1, 20, SHUTDOWN), (20, FOREVER, RUNNING)]


def test_two_copies_of_a_journal_are_one():
    entries = [entry(1, journals.STARTED), entry(5, journals.STOPPING),
               entry(6, journals.ENDED_WELL)]
    assert journals.merge(entries[:2], entries) == entries


# --- measurements --------------------------------------------------------------------------------

def crashed_and_moved():
    story = started()
    story.fault("crash", 20, 40, "m1")
    story.runs("m1", 11, 20, POWER)
    story.runs("m2", 26.5)
    return story.history


def test_an_interruption_belongs_to_the_fault_that_hit_the_machine():
    history = crashed_and_moved()
    assert measure.interruptions(history) == {"crash": [6.5]}
    history.faults[0] = replace(history.faults[0], machines=("m3",))
    assert measure.interruptions(history) == {"no fault": [6.5]}


def test_failover_counts_from_the_crash_to_the_start_elsewhere():
    assert measure.failovers(crashed_and_moved()) == {"crash": [6.5]}


def test_a_failover_while_the_registry_is_away_is_not_the_machines():
    history = crashed_and_moved()
    history.faults.append(Fault("etcd quorum lost", 15, 24))
    assert measure.failovers(history) == {}
    assert measure.interruptions(history) == {"etcd quorum lost": [6.5]}


def test_a_partition_interrupts_nothing_and_fails_over():
    history = cut_off_and_moved().history
    assert measure.interruptions(history) == {}
    assert measure.failovers(history) == {"partition": [6.0]}


def test_second_copies_are_counted_and_timed():
    assert measure.second_copies(crashed_and_moved()) == {"count": 0, "longest_after_return": 0}
    assert measure.second_copies(cut_off_and_moved(back=40, stopped=44).history) == {
        "count": 1, "longest_after_return": 4}


def test_the_loss_of_the_leading_engine_lasts_until_another_one_leads():
    story = Story()
    story.write(1, "leader", machine="m1")
    story.fault("crash", 20, 40, "m1")
    story.write(25.5, "leader", deleted=True)
    story.write(25.6, "leader", machine="m2")
    assert measure.failovers(story.history) == {"leader loss": [pytest.approx(5.6)]}


def test_the_loss_of_etcds_leader_lasts_until_an_order_is_acknowledged():
    story = Story()
    story.fault("etcd leader killed", 20, 40)
    story.history.orders = [Order("u", "stop", 19, 20.1), Order("u", "stop", 20.5, 21, False),
                            Order("u", "start", 21, 22.5)]
    assert measure.failovers(story.history) == {"etcd leader loss": [2.5]}


def test_a_lease_that_ends_without_a_fault_is_told():
    story = Story()
    story.lost(30, "m1")
    assert measure.lost_without_fault(story.history) == [("m1", 30)]
    story.fault("partition", 20, 28, "m1")
    assert measure.lost_without_fault(story.history) == []
