"""What will be done, from the seed alone: the faults in their order, and the users' commands.

When each of them begins depends on how long the ones before take; what they are does not.
"""
import random
from dataclasses import dataclass, field

from .history import Unit

# kind: (what it takes hold of, seconds at least, at most). "machine": one of them, nothing else
# happens to it meanwhile; "etcd": nothing else happens to etcd; "all": nothing else at all.
KINDS = {
    "crash": ("machine", 1, 30),
    "crash and emptied disk": ("machine", 1, 20),
    "reboot": ("machine", 0, 0),
    "power off": ("machine", 1, 15),
    "partition": ("machine", 1, 30),
    "partition from etcd": ("machine", 1, 30),
    "partition from a machine": ("machine", 2, 20),
    "one-way partition": ("machine", 1, 30),
    "flapping network": ("machine", 5, 30),
    "packet loss": ("machine", 5, 30),
    "delay": ("machine", 5, 30),
    "low rate": ("machine", 5, 30),
    "fleetd killed": ("machine", 0, 2),
    "fleetd paused": ("machine", 1, 60),
    "fleetd restarted": ("machine", 0, 0),
    "fleetd stopped": ("machine", 1, 10),
    "disk full": ("machine", 5, 20),
    "systemd re-executed": ("machine", 0, 0),
    "etcd leader killed": ("etcd", 2, 15),
    "etcd paused": ("etcd", 1, 40),
    "etcd member paused": ("etcd", 1, 40),
    "etcd quorum lost": ("etcd", 60, 60),
    "all machines rebooted": ("all", 0, 0),
    "all machines crashed": ("all", 1, 5),
    "all fleetds killed": ("all", 0, 2),
}
# Made elsewhere: all machines share the host's clock.
NOT_MADE = {"clock step": "in the simulator only: the machines share the host's clock",
            "clock rate error": "in the simulator only: the machines share the host's clock"}


@dataclass
class Step:
    """A fault to come."""
    kind: str
    machine: str      # "" for etcd and all
    seconds: float    # how long it lasts
    gap: float        # pause before the next one
    draw: int = 0     # for what a kind chooses itself

    @property
    def hold(self):
        return KINDS[self.kind][0]

    def choose(self, options):
        """One of the options, by `draw`: 0 the first."""
        return options[self.draw % len(options)]


def faults(seed, machines, longest, kinds=()):
    """An endless deal of faults: each kind once, in random order, then again. `longest`: no
    fault lasts longer; the seconds of a short run are few."""
    rng = random.Random(f"faults {seed}")
    while True:
        deck = [kind for kind in KINDS if not kinds or kind in kinds]
        rng.shuffle(deck)
        for kind in deck:
            hold, least, most = KINDS[kind]
            machine = rng.choice(machines)
            yield Step(kind, machine if hold == "machine" else "",
                       min(longest, rng.uniform(least, most)), rng.uniform(0.5, 6),
                       rng.randrange(1000))


@dataclass
class Subject:
    """A unit under test: the lines of its text, and what users may do to it."""
    name: str
    service: tuple = ("ExecStart=/bin/sleep infinity",)
    fleet: tuple = ()
    verbs: tuple = ("start", "stop", "destroy", "restart", "replace")
    is_global: bool = False
    ends_itself: bool = False
    stops_isolated: bool = False
    stop_seconds: float = 0
    related: tuple = ()

    def text(self, version):
        lines = [f"[Unit]\nDescription=chaos, version {version}\n\n[Service]", *self.service]
        if self.fleet:
            lines += ["", "[X-Fleet]", *self.fleet]
        return "\n".join(lines) + "\n"

    def unit(self):
        """What the checker must know of it."""
        return Unit(self.name, self.is_global, self.ends_itself, self.stops_isolated,
                    self.stop_seconds, self.related)


# What others follow is always wanted; so what L1 asks for never depends on an unmet requirement.
_KEPT = ("start", "restart", "replace")


def subjects(machines, isolation=False):
    """The units under test, on so many machines: one may be away, and all still have a place.
    `isolation`: also some with OnIsolation=stop."""
    found = [Subject(f"c-plain{i}.service") for i in range(1, 9)]
    found += [Subject(f"c-kept{i}.service", verbs=("start",)) for i in range(1, 9)]
    found += [Subject(f"c-slow{i}.service",
                      ("ExecStart=/bin/sleep infinity", "ExecStop=/bin/sleep 2"), stop_seconds=2)
              for i in range(1, 4)]
    leaders = [f"c-leader{i}.service" for i in (1, 2)]
    for i, leader in enumerate(leaders, 1):
        follower = f"c-follower{i}.service"
        found.append(Subject(leader, verbs=_KEPT, related=(follower,)))
        found.append(Subject(follower, fleet=(f"MachineOf={leader}",), related=(leader,)))
    apart = [f"c-apart@{i}.service" for i in range(1, max(2, machines))]
    found += [Subject(name, fleet=("Conflicts=c-apart@*.service",),
                      related=tuple(other for other in apart if other != name))
              for name in apart]
    found += [Subject(f"c-global{i}.service", fleet=("Global=true",), is_global=True)
              for i in (1, 2)]
    found += [Subject(f"c-oneshot{i}.service", ("Type=oneshot", "ExecStart=/bin/sleep 1"),
                      ends_itself=True) for i in (1, 2)]
    if isolation:
        found += [Subject(f"c-single{i}.service", fleet=("OnIsolation=stop",),
                          stops_isolated=True) for i in (1, 2, 3)]
    return found


@dataclass
class Command:
    verb: str
    subject: Subject
    pause: float     # before it
    version: int = 0
    draw: float = field(default=0, compare=False)


def commands(seed, units, worker, workers):
    """An endless row of commands about this worker's share of the units."""
    rng = random.Random(f"commands {seed} {worker}")
    mine = units[worker::workers]
    version = 0
    while True:
        subject = rng.choice([each for each in mine if len(each.verbs) > 1])
        # Most of the time things should run: there is nothing to interrupt otherwise.
        verb = rng.choice([*subject.verbs, "start", "start"])
        version += 1
        yield Command(verb, subject, rng.uniform(0.2, 1.5), version, rng.random())
