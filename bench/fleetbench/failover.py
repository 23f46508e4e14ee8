"""failover: from the power loss of a machine to its services active elsewhere.

Each power loss has a lab of its own: a machine that was lost again and again gets nothing for a
while, and that is not what is measured here. Each waits another part of the keep-alive interval
first, so that the runs cover it evenly: a lease that was renewed just before lasts longest.
"""
import datetime
import os
import re
import subprocess
import tempfile
import threading
import time

from . import etcd, progress, systemd, units
from .errors import BenchError
from .lab import Lab, describe

DEFAULT_TTL = 10  # fleet's own
_KEEP_ALIVES = 3  # in one TTL


def run(options):
    return [_both(options, number, 1) for number in range(1, options.runs + 1)]


def run_with_etcd(options):
    return [_both(options, number, 3) for number in range(1, options.runs + 1)]


def _both(options, number, members):
    """A machine whose engine does not lead, and the one whose engine does."""
    if options.machines < 2:
        raise BenchError("failover needs --machines 2 or more")
    found = {}
    for victim in ("not_leader", "leader"):
        one = _power_loss(options, (number - 0.5) / options.runs, members, victim == "leader")
        found[victim] = one.pop("active")
        found.update({f"{victim}_{name}": value for name, value in one.items()})
    progress.say(f"failover, run {number} of {options.runs}: "
                 + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    return found


def _power_loss(options, phase, members, of_leader):
    ttl = options.ttl or DEFAULT_TTL
    with tempfile.TemporaryDirectory() as directory, Lab(options, ttl, members) as lab:
        describe(lab)
        units.write_template(directory)
        names = units.names(units.FLEET, max(options.units, options.machines))
        lab.fleetctl("start", *names, cwd=directory)
        systemd.last_active(lab.machines, f"{units.FLEET}@*", names)
        victim = _victim(lab, of_leader)
        lost = list(systemd.active_since([victim], f"{units.FLEET}@*"))
        if not lost:
            raise BenchError(f"nothing runs on {victim.name}")
        others = [machine for machine in lab.machines if machine is not victim]
        dying = next((m for m in lab.refresh()["etcd"] if m["leader"]), None) if members > 1 \
            else None
        living = next(m["endpoint"] for m in lab.members if m is not dying)
        time.sleep(phase * ttl / _KEEP_ALIVES)

        bound = etcd.LeaseBound(living, ttl)
        with PowerSwitch(lab, dying) as switch:
            bound.begin()
            began = switch.off(victim)
            _wait_linked(others, lost, began, ttl)
            active = systemd.last_active(others, f"{units.FLEET}@*", lost)
            found = {"active": active - began, "bound": bound.seconds()}
        if dying:
            found["election"] = _elected(lab, dying, began) - began
        return found


def _victim(lab, leader):
    found = etcd.engine_leader(lab.members[0]["endpoint"])
    if not any(machine.id == found for machine in lab.machines):
        raise BenchError("no machine of the lab leads the engines")
    return next(machine for machine in lab.machines if (machine.id == found) == leader)


def _wait_linked(machines, names, began, ttl):
    """Looks at the directories only, and not before anything can have happened."""
    time.sleep(max(0, began + ttl / 2 - time.monotonic()))
    paths = {name: [machine.path(f"{systemd.LINKS}/{name}") for machine in machines]
             for name in names}
    progress.wait_until(f"{len(names)} units on the other machines", lambda: all(
        any(os.path.lexists(path) for path in own) for own in paths.values()),
        ttl * 3 + 60, 0.1)


class PowerSwitch:
    """Takes the power of a machine and of an etcd member.

    What the others see of a power loss is silence. So the cable is cut first (for the member,
    which is a process of the host: a packet filter), then the processes are killed.
    """

    def __init__(self, lab, member):
        self._lab = lab
        self._member = member
        self._table = f"fleet_bench_{os.getpid()}"
        self._killers = []

    def __enter__(self):
        return self

    def off(self, machine):
        """Both at once; returns the moment before the first of them."""
        began = time.monotonic()
        if self._member:
            self._silence(self._member["endpoint"].split("//")[1].split(":")[0])
        _run(["ip", "link", "set", machine.interface, "down"])
        self._killers = [threading.Thread(target=self._lab.crash, args=(machine,))]
        if self._member:
            number = int(self._member["name"].removeprefix("etcd"))
            self._killers.append(threading.Thread(target=self._lab.kill_member, args=(number,)))
        for killer in self._killers:
            killer.start()
        return began

    def _silence(self, address):
        rules = "".join(f"chain {hook} {{ type filter hook {hook} priority -10; "
                        f"ip saddr {address} drop; ip daddr {address} drop; }}\n"
                        for hook in ("input", "output"))
        _run(["nft", "-f", "-"], f"table inet {self._table} {{\n{rules}}}\n")

    def __exit__(self, *_):
        for killer in self._killers:
            killer.join()
        if self._member:
            subprocess.run(["nft", "delete", "table", "inet", self._table], check=False,
                           stderr=subprocess.DEVNULL)


def _run(argv, text=""):
    done = subprocess.run(argv, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(argv)} failed: {done.stderr.strip()}")


def _elected(lab, dying, began):
    """When the remaining members had their new leader, by their logs, on the monotonic clock.

    Of several elections the last counts: each begins the leases anew.
    """
    offset = time.time() - time.monotonic()
    found = {}
    for member in lab.members:
        if member["name"] == dying["name"]:
            continue
        for entry in etcd.log(os.path.join(lab.directory, f"{member['name']}.log")):
            term = re.search(r"elected leader \w+ at term (\d+)", entry.get("msg", ""))
            if term:
                written = datetime.datetime.fromisoformat(entry["ts"].replace("Z", "+00:00"))
                found.setdefault(int(term.group(1)), []).append(written.timestamp() - offset)
    moment = min(found[max(found)]) if found else began
    if moment <= began:
        raise BenchError("etcd's logs tell of no new leader")
    return moment
