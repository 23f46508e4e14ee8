"""What a run cost: interruptions and failover times, from the runs that systemd recorded."""
from statistics import median

from .checker import overlaps, runs_by_unit, seconds_back
from .history import POWER, SHUTDOWN, Registry

# A fault counts for what ends this long after it was healed.
AFTERMATH = 5
# Failover is measured for these: what is called what in the table.
FAILOVERS = {"crash": ("crash", "crash and emptied disk"),
             "partition": ("partition", "partition from etcd", "one-way partition"),
             "stop": ("fleetd stopped",), "reboot": ("reboot", "power off")}
LEADERS = ("leader loss", "etcd leader loss")


def interruptions(history):
    """{kind of fault: [seconds]}: how long a unit that was wanted all the time ran nowhere. Of
    global units it means nothing: they wait for their machine."""
    found = {}
    for name, runs in runs_by_unit(history).items():
        unit = history.units[name]
        if unit.ends_itself or unit.is_global:
            continue
        for begin, end, run in _gaps(runs):
            if _was_ordered(history, {name, *unit.related}, begin, end):
                continue
            fault = _fault_of(history, run.machine, begin, end)
            found.setdefault(fault.kind if fault else "no fault", []).append(end - begin)
    return found


def _gaps(runs):
    """(end of a run, start of the next, that run), where nothing ran in between."""
    runs = sorted(runs, key=lambda run: run.start)
    last = runs[0]
    for run in runs[1:]:
        if run.start > last.end:
            yield last.end, run.start, last
        if run.end > last.end:
            last = run


def _was_ordered(history, names, begin, end):
    """Whether a user touched it around that time; then it is no interruption of ours."""
    return any(order.unit in names and order.start <= end and order.end >= begin - history.ttl
               for order in history.orders)


def _fault_of(history, machine, begin, end):
    """What interrupted it: the registry, if that was away for most of the time; otherwise the
    last fault that had hit its machine."""
    registry = [fault for fault in history.faults if fault.kind.startswith("etcd")
                and min(end, fault.end) - max(begin, fault.start) > (end - begin) / 2]
    around = [fault for fault in history.faults if fault.hits(machine)
              and fault.start <= begin <= fault.end + AFTERMATH + history.ttl]
    return max(registry or around, key=lambda fault: fault.start, default=None)


def failovers(history):
    """{what failed: [seconds from the failure until the unit ran on another machine]}, while the
    registry was well. Of a clean end (stop, reboot) they count from the end of the run; of a
    partition, from its beginning."""
    found = {}
    by_unit = runs_by_unit(history)
    for what, kinds in FAILOVERS.items():
        for fault in history.faults:
            if fault.kind not in kinds:
                continue
            for name, runs in by_unit.items():
                if history.units[name].is_global or history.units[name].ends_itself:
                    continue
                seconds = _failover(history, what, fault, name, runs)
                if seconds is not None:
                    found.setdefault(what, []).append(seconds)
    for what, values in zip(LEADERS, (_leader_changes(history),
                                      _first_acknowledgements(history))):
        if values:
            found[what] = values
    return found


def _failover(history, what, fault, name, runs):
    """Of one unit by one fault; None if it did not move because of it."""
    machine = fault.machines[0]
    there = [run for run in runs if run.machine == machine and run.start < fault.start + 1
             and run.end >= fault.start]
    if not there:
        return None
    run = there[-1]
    if what == "partition":
        begin = fault.start
    elif what == "crash":
        if run.how != POWER:
            return None
        begin = run.end
    else:
        if run.how == SHUTDOWN or run.end > fault.end:
            return None
        begin = run.end
    following = [other for other in runs if other.machine != machine and other.start > begin
                 and other.start < fault.end + 3 * history.ttl]
    if not following:
        return None
    nearest = min(following, key=lambda other: other.start)
    if _was_ordered(history, {name, *history.units[name].related}, begin, nearest.start) \
            or _registry_was_hit(history, begin, nearest.start):
        return None
    return nearest.start - begin


def _registry_was_hit(history, begin, end):
    return any(fault.kind.startswith("etcd") and fault.start < end and fault.end > begin
               for fault in history.faults)


def _leader_changes(history):
    """Seconds from a fault of the leading engine's machine until another one leads."""
    found = []
    leaders = [change for change in history.changes if change.what == "leader"]
    for fault in history.faults:
        if fault.kind not in ("crash", "crash and emptied disk", "partition",
                              "partition from etcd", "fleetd paused"):
            continue
        before = [change for change in leaders if change.time <= fault.start]
        if not before or before[-1].deleted or before[-1].machine not in fault.machines:
            continue
        after = [change for change in leaders if change.time > fault.start
                 and not change.deleted and change.machine not in fault.machines]
        if after and after[0].time < fault.end + 2 * history.ttl \
                and not _registry_was_hit(history, fault.start, after[0].time):
            found.append(after[0].time - fault.start)
    return found


def _first_acknowledgements(history):
    """Seconds from the end of etcd's leader until an order given after it was acknowledged."""
    found = []
    for fault in history.faults:
        if fault.kind == "etcd leader killed":
            acknowledged = [order.end for order in history.orders
                            if order.acknowledged and order.start >= fault.start]
            if acknowledged and min(acknowledged) < fault.end:
                found.append(min(acknowledged) - fault.start)
    return found


def second_copies(history):
    """{count, longest_after_return}: how often a unit ran twice, and how long such a copy ran on,
    in seconds, once its machine could reach the registry again."""
    found = [seconds_back(history, older, newer) for older, newer in overlaps(history)]
    return {"count": len(found), "longest_after_return": round(max(found, default=0), 2)}


def spread(values):
    """{count, min, median, max}, in seconds."""
    return {"count": len(values), "min": round(min(values), 2),
            "median": round(median(values), 2), "max": round(max(values), 2)}


def lost_without_fault(history):
    """Machines whose lease ended although nothing was broken: [(machine, time)]. It is no
    violation (a busy host), and should be rare."""
    registry = Registry(history.changes)
    found = []
    for machine, changes in registry.of_machine.items():
        record = None
        for change in changes:
            if change.deleted and record is not None and not record.leaving and not any(
                    fault.hits(machine) and fault.start <= change.time
                    and fault.end + history.ttl + 5 >= change.time for fault in history.faults):
                found.append((machine, change.time))
            record = None if change.deleted else change
    return found
