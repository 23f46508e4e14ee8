"""The judge: what the records of systemd say against S1, S3 and L1 (docs/architecture.md).

Pure functions of a `History`. Nothing here believes what fleet reports: runs are systemd's, the
registry's changes are used only to tell what fleet had decided when.
"""
from .history import (CLEAN_ENDS, FOREVER, GONE, LOADED, OWN, POWER, RUNNING, SHUTDOWN, Registry,
                      Violation)

# A machine that is back has this long, beside a TTL and the unit's own stop, until the second
# copy of a unit is gone: to connect again, to join, to read what is assigned to it.
RECONNECT_SECONDS = 5
# A watcher, or the log of a fault, may be so late on a busy host.
CLOCK_SLACK = 1.0
MASS_LOSS_HOLD = 60


def check(history):
    """All violations of S1 and S3, oldest first."""
    registry = Registry(history.changes)
    found = _two_copies(history, registry) + _unordered_ends(history, registry)
    return sorted(found, key=lambda violation: violation.time)


# --- S1 ------------------------------------------------------------------------------------------

def overlaps(history):
    """[(older run, newer run)] of one unit (not global) that were there at the same time."""
    found = []
    for name, runs in runs_by_unit(history).items():
        if history.units[name].is_global:
            continue
        open_runs = []
        for run in sorted(runs, key=lambda run: run.start):
            open_runs = [other for other in open_runs if other.end > run.start]
            found += [(other, run) for other in open_runs]
            open_runs.append(run)
    return found


def runs_by_unit(history):
    found = {}
    for run in history.runs:
        found.setdefault(run.unit, []).append(run)
    return found


def _two_copies(history, registry):
    violations = []
    for older, newer in overlaps(history):
        # The copy that is out of date is nearly always the older one; but a machine that is cut
        # off may start late what it was told before.
        reasons = []
        for stale, fresh in ((older, newer), (newer, older)):
            reason = _why_not_allowed(history, registry, stale, fresh)
            if reason is None:
                break
            reasons.append(reason)
        else:
            violations.append(Violation(
                "S1", newer.start, f"two copies of {older.unit}: {reasons[0]}",
                [older, newer, *_evidence(history, older.unit, older.start, newer.start + 60,
                                          (older.machine, newer.machine))]))
    return violations


def _why_not_allowed(history, registry, stale, fresh):
    """None if S1 lets `stale` run beside `fresh`: the registry had lost its machine when it gave
    the unit to another, and it was not back for long enough to stop it."""
    if stale.machine == fresh.machine:
        return f"{fresh.machine} runs it twice"
    if history.units[stale.unit].stops_isolated:
        return "it has OnIsolation=stop"
    granted = registry.granted(fresh.machine, fresh.unit, fresh.start, CLOCK_SLACK)
    if granted is None:
        return f"nothing assigned it to {fresh.machine}"
    was_granted = registry.granted(stale.machine, stale.unit, stale.start, CLOCK_SLACK)
    if was_granted is None:
        return f"nothing assigned it to {stale.machine}"
    # It may have been moved on since: the copy that was left behind waits for its machine's return.
    moved = registry.moved_off(stale.machine, stale.unit, was_granted, granted.revision)
    if moved is None:
        return (f"revision {granted.revision} assigned it to {fresh.machine}, and "
                f"{stale.machine} was a member or had it")
    gone, record = registry.last_departure(stale.machine, moved.revision)
    if gone is None:
        return f"{stale.machine} was never a member"
    if record is not None and record.leaving \
            and not _was_cut_off(history, stale.machine, gone.time):
        return f"{stale.machine} had left the cluster (revision {gone.revision}) and ran it on"
    limit = history.ttl + history.units[stale.unit].stop_seconds + RECONNECT_SECONDS
    longest = seconds_back(history, stale, fresh, gone.time)
    if longest > limit:
        return (f"{stale.machine} could reach its registry for {longest:.1f} s and still ran it; "
                f"{limit:.1f} s are allowed")
    return None


def _was_cut_off(history, machine, time):
    """Whether a lease that ended then may have ended by itself: something but a clean end of the
    machine or its fleetd kept it from its registry."""
    return any(fault.cuts and fault.kind not in CLEAN_ENDS and fault.hits(machine)
               and fault.start <= time and fault.end >= time - history.ttl - CLOCK_SLACK
               for fault in history.faults)


def seconds_back(history, stale, fresh, lost=None):
    """How long the machine of a second copy could reach its registry, from when it was lost (or
    both ran) until one of them ended."""
    begin = max(stale.start, fresh.start if lost is None else lost)
    end = min(stale.end, fresh.end)
    return max((stop - start for start, stop in connected(history, stale.machine, begin, end)),
               default=0)


def connected(history, machine, begin, end):
    """The times in [begin, end) in which no fault kept the machine from its registry."""
    found, at = [], begin
    for fault in sorted((fault for fault in history.faults
                         if fault.cuts and fault.hits(machine)), key=lambda fault: fault.start):
        if fault.end <= at:
            continue
        if fault.start >= end:
            break
        if fault.start > at:
            found.append((at, fault.start))
        at = fault.end
    if at < end:
        found.append((at, end))
    return found


# --- S3 ------------------------------------------------------------------------------------------

def _unordered_ends(history, registry):
    violations = []
    for run in history.runs:
        text = _why_unexplained(history, registry, run)
        if text:
            violations.append(Violation(
                "S3", min(run.ordered, run.end), f"{run.unit} ended on {run.machine}: {text}",
                [run, *_evidence(history, run.unit, run.start, run.end + 5, (run.machine,))]))
    return violations


def _why_unexplained(history, registry, run):
    """None if somebody ordered the end of this run, or the machine ended with it."""
    if run.how in (RUNNING, POWER, SHUTDOWN):
        return None
    unit = history.units[run.unit]
    if unit.stops_isolated and _was_cut_off(history, run.machine, min(run.ordered, run.end)):
        return None
    if run.how == OWN:
        return None if unit.ends_itself else "by itself, and it does not end by itself"
    if any(machine == run.machine and start - CLOCK_SLACK <= run.ordered <= end + CLOCK_SLACK
           for machine, start, end in history.outages):
        return None
    told = [change for change in registry.of_assignment.get((run.machine, run.unit), [])
            if change.time <= run.ordered + CLOCK_SLACK]
    # Also what it was told last before it began: an agent that was cut off did not know.
    first = max((at for at, change in enumerate(told)
                 if change.time < run.start - CLOCK_SLACK), default=0)
    decisions = [change for change in told[first:] if _stops(registry, change)
                 and (change.time >= run.start - CLOCK_SLACK or change.state in (GONE, LOADED))]
    if not decisions:
        return "systemd was told to stop it, and nothing in its assignment said so"
    reasons = [_why_decided(registry, run, unit, change) for change in decisions]
    return None if None in reasons else reasons[-1]


def _stops(registry, change):
    """Whether an assignment tells the agent to stop what ran by the one before."""
    if change.deleted:
        return False
    if change.state in (GONE, LOADED):
        return True
    before = registry.before(change)
    return before is not None and (
        before.uid != change.uid or before.content != change.content
        or before.restarts != change.restarts)


def _why_decided(registry, run, unit, change):
    """None if there was a reason to decide this: a user's word since the decision before it, a
    machine that was lost or leaves, or another machine that has the unit by now."""
    before = registry.before(change)
    # A generation is the revision that was looked at when it was decided.
    if any(registry.told_to_stop(name, before.generation if before else 0, change.generation)
           for name in (run.unit, *unit.related)):
        return None
    member = registry.member_at(run.machine, change.revision)
    if member is None or member.leaving:
        return None
    if registry.live_elsewhere(run.machine, run.unit, change.revision):
        return None
    if any(registry.member_at(machine, change.revision) is None
           for machine, name in registry.of_assignment if name in unit.related):
        return None  # what it belongs to moves from a machine that is lost
    return f"fleet decided so in revision {change.revision} without an order or a lost machine"


# --- L1 ------------------------------------------------------------------------------------------

def convergence_seconds(history, healed):
    """How long after the last fault everything must be as it is wanted."""
    seconds = 2 * history.ttl + 10 + max(
        (unit.stop_seconds for unit in history.units.values()), default=0)
    return seconds + (MASS_LOSS_HOLD if _most_were_missing(history, healed) else 0)


def _most_were_missing(history, healed):
    """Whether more than half of the machines were missing at once, shortly before."""
    registry = Registry(history.changes)
    machines = registry.of_machine
    moments = [change for change in history.changes if change.what == "machine"
               and change.deleted and change.time >= healed - MASS_LOSS_HOLD]
    return any(2 * sum(registry.member_at(machine, moment.revision) is None
                       for machine in machines) > len(machines) for moment in moments)


def misplaced(history, wanted, actual, machines):
    """What is not as L1 wants it. `wanted`: {unit: desired state} of those that exist, `actual`:
    {machine: units that its systemd runs}, `machines`: those that are there."""
    found = []
    for name, unit in sorted(history.units.items()):
        where = sorted(machine for machine in actual if name in actual[machine])
        if unit.ends_itself:
            expected = None
        elif wanted.get(name) != "launched":
            expected = [] if where else None
        elif unit.is_global:
            expected = sorted(machines) if where != sorted(machines) else None
        else:
            expected = ["one of " + ", ".join(sorted(machines))] if len(where) != 1 else None
        if expected is not None:
            found.append(f"{name} ({wanted.get(name, 'destroyed')}) runs on "
                         f"{', '.join(where) or 'no machine'}, not on "
                         f"{', '.join(expected) or 'none'}")
    return found


# --- evidence ------------------------------------------------------------------------------------

def _evidence(history, unit, begin, end, machines):
    """What was done and decided around it."""
    if end == FOREVER:
        end = begin + 60
    found = [(fault.start, f"fault: {fault}") for fault in history.faults
             if fault.start <= end and fault.end >= begin - 60]
    found += [(order.start, f"order: {order.verb} {order.unit} {order.start:.3f} to "
               f"{order.end:.3f}{'' if order.acknowledged else ' (not acknowledged)'}")
              for order in history.orders if order.unit == unit
              and begin - 60 <= order.end and order.start <= end]
    found += [(change.time, f"registry: {_words(change)}") for change in history.changes
              if begin - 60 <= change.time <= end
              and (change.unit == unit or unit in change.text
                   or (change.what == "machine" and change.machine in machines))]
    return [text for _, text in sorted(found)][-60:]


def _words(change):
    if change.what == "event":
        return f"{change.time:.3f} rev {change.revision} event {change.text}"
    if change.deleted:
        what = "deleted"
    elif change.what == "assignment":
        what = (f"{('loaded', 'launched', 'gone')[change.state]} generation {change.generation} "
                f"uid {change.uid[:6]} content {change.content[:6]} restarts {change.restarts}")
    elif change.what == "unit":
        what = f"desired {change.state} uid {change.uid[:6]} {change.text}"
    else:
        what = "leaving" if change.leaving else "there"
    return (f"{change.time:.3f} rev {change.revision} {change.what} "
            f"{'/'.join(filter(None, (change.machine, change.unit)))} {what}")
