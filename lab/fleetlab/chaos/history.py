"""What happened, as values: the checker and the measurements are functions of a `History`.

Times are seconds of the host's clock, which all machines share.
"""
from dataclasses import dataclass, field

FOREVER = float("inf")

# How a run ended.
RUNNING = "running"      # it had not, when the records were taken
STOPPED = "stopped"      # by a stop or restart job of systemd
OWN = "own"              # by itself
POWER = "power loss"     # with the machine
SHUTDOWN = "shutdown"    # with the machine, and its journal does not say when exactly

# States of an assignment, as the registry has them.
LOADED, LAUNCHED, GONE = 0, 1, 2


# Kinds of fault in which fleetd is told to go, and leaves the cluster.
CLEAN_ENDS = ("reboot", "power off", "fleetd stopped", "all machines rebooted")


@dataclass
class Run:
    """One run of a unit: from systemd's start of it to its end, by the machine's journal."""
    unit: str
    machine: str
    boot: str
    invocation: str
    start: float
    end: float = FOREVER
    how: str = RUNNING
    ordered: float = FOREVER  # when systemd began to stop it

    def __str__(self):
        end = "now" if self.end == FOREVER else f"{self.end:.3f}"
        return (f"{self.unit} on {self.machine} {self.start:.3f} to {end} ({self.how}, "
                f"invocation {self.invocation[:8]}, boot {self.boot[:8]})")


@dataclass
class Change:
    """A write to the registry. `machine` is the lab's name of it."""
    time: float      # when the first watcher saw it: a little later than it was
    revision: int
    what: str        # machine, assignment, unit, leader, event
    machine: str = ""
    unit: str = ""
    deleted: bool = False
    uid: str = ""
    generation: int = 0
    content: str = ""
    state: int = LOADED
    restarts: int = 0
    starts: int = 0
    leaving: bool = False
    text: str = ""   # of an event


@dataclass
class Fault:
    """What was broken, from when until it was healed. No machines: all of them."""
    kind: str
    start: float
    end: float
    machines: tuple = ()
    detail: str = ""
    cuts: bool = True  # it can keep a machine from its registry

    def hits(self, machine):
        return not self.machines or machine in self.machines

    def __str__(self):
        where = ",".join(self.machines) or "all"
        return f"{self.kind} ({where}) {self.start:.3f} to {self.end:.3f}"


@dataclass
class Order:
    """What the user asked for. `acknowledged`: fleetctl said that it is done."""
    unit: str
    verb: str
    start: float
    end: float
    acknowledged: bool = True


@dataclass
class Unit:
    """What the checker must know of a unit under test."""
    name: str
    is_global: bool = False
    ends_itself: bool = False
    stops_isolated: bool = False  # OnIsolation=stop
    stop_seconds: float = 0
    related: tuple = ()  # units whose orders and moves stop this one, too


@dataclass
class History:
    units: dict                                  # name → Unit
    ttl: float
    runs: list = field(default_factory=list)
    changes: list = field(default_factory=list)  # by revision
    faults: list = field(default_factory=list)
    orders: list = field(default_factory=list)
    outages: list = field(default_factory=list)  # (machine, start, end): clean ends of fleetd


@dataclass
class Violation:
    invariant: str
    time: float
    text: str
    evidence: list = field(default_factory=list)

    def __str__(self):
        return "\n    ".join([f"{self.invariant} at {self.time:.3f}: {self.text}",
                              *map(str, self.evidence)])


class Registry:
    """The registry over time, from its changes."""

    def __init__(self, changes):
        self.changes = changes
        self.of_machine = {}
        self.of_assignment = {}
        self.of_unit = {}
        for change in changes:
            if change.what == "machine":
                self.of_machine.setdefault(change.machine, []).append(change)
            elif change.what == "assignment":
                self.of_assignment.setdefault((change.machine, change.unit), []).append(change)
            elif change.what == "unit":
                self.of_unit.setdefault(change.unit, []).append(change)

    def member_at(self, machine, revision):
        """The machine's record at a revision; None while it is not a member."""
        found = None
        for change in self.of_machine.get(machine, []):
            if change.revision > revision:
                break
            found = None if change.deleted else change
        return found

    def last_departure(self, machine, revision):
        """(the deletion of the machine's record before a revision, the record that was deleted),
        or (None, None)."""
        record = gone = last = None
        for change in self.of_machine.get(machine, []):
            if change.revision > revision:
                break
            if change.deleted:
                gone, last = change, record
            else:
                record = change
        return gone, last

    def granted(self, machine, unit, time, slack=0.0):
        """The change that gave the unit to the machine for the run that began at `time`: where a
        row of live assignments begins. A watcher may have seen it up to `slack` late. None if
        there was none."""
        last = found = None  # the last row; the row that goes on
        for change in self.of_assignment.get((machine, unit), []):
            if change.time > time and (found or change.time > time + slack):
                break
            if change.deleted or change.state == GONE:
                found = None
            elif found is None or found.uid != change.uid:
                last = found = change
        return last

    def moved_off(self, machine, unit, granted, until):
        """The first change after `granted`, up to revision `until`, that gave the unit to another
        machine while this one was not a member; None if there was none, or if this one got it back
        since."""
        found = None
        for change in self.changes:
            if change.what != "assignment" or change.unit != unit \
                    or not granted.revision < change.revision <= until \
                    or change.deleted or change.state == GONE:
                continue
            if change.machine == machine:
                if self._begins_row(change):
                    found = None
            elif found is None and self._begins_row(change) \
                    and self.member_at(machine, change.revision) is None:
                found = change
        return found

    def _begins_row(self, change):
        before = self.before(change)
        return before is None or before.state == GONE or before.uid != change.uid

    def live_elsewhere(self, machine, unit, revision):
        """The machines that have a live assignment of the unit at a revision, but this one."""
        found = []
        for (where, name), changes in self.of_assignment.items():
            if name != unit or where == machine:
                continue
            past = [change for change in changes if change.revision <= revision]
            if past and not past[-1].deleted and past[-1].state != GONE:
                found.append(where)
        return found

    def before(self, change):
        """The assignment that this change replaced; None if there was none."""
        past = [other for other in self.of_assignment[change.machine, change.unit]
                if other.revision < change.revision]
        return past[-1] if past and not past[-1].deleted else None

    def told_to_stop(self, unit, after, until):
        """Whether a user's change of the unit's record, in the revisions (after, until], ends what
        ran: destroyed, created anew, stopped, restarted, or another text."""
        before = None
        for change in self.of_unit.get(unit, []):
            if after < change.revision <= until and before is not None and (
                    change.deleted or before.deleted or change.uid != before.uid
                    or change.state < before.state or change.content != before.content
                    or change.restarts != before.restarts):
                return True
            before = change
        return False
