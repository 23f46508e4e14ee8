"""A run's records: taken while it goes on, and read again from the directory that keeps them."""
import json
import os
import shutil
from dataclasses import asdict

from .. import etcd
from . import journals, plan
from .history import FOREVER, Change, Fault, History, Order
from .registry_watch import RegistryWatch
from .workload import DESTROYED
from .world import World

LOG, REGISTRY, JOURNALS = "log.jsonl", "registry.jsonl", "journals"


class RecordedWorld(World):
    """A world with its recorders: the watch of the registry, and copies of journals."""

    def __init__(self, layout, directory):
        super().__init__(layout, directory)
        self.watch = RegistryWatch(self.environment, etcd.key_prefix(self.current), self.of_id)
        self._kept = 0

    def _journal(self, name):
        return os.path.join(self.layout_of(name).upper, "var/log/journal")

    def _kept_journals(self, name):
        return os.path.join(self.directory, JOURNALS, name)

    def keep_journal(self, name):
        """Before the machine's disk is emptied."""
        self._kept += 1
        if os.path.isdir(self._journal(name)):
            shutil.copytree(self._journal(name),
                            os.path.join(self._kept_journals(name), str(self._kept)))

    def history(self, units, ttl, orders):
        """What the records say, up to now."""
        found = History(units, ttl, changes=self.watch.changes(), faults=list(self.faults),
                        orders=list(orders), outages=list(self.outages))
        for name in self.machines:
            found.runs += runs_of(name, self._kept_journals(name),
                                  journals.read(self._journal(name)), self.powers, units)
        found.runs.sort(key=lambda run: run.start)
        return found

    def actual(self):
        """{machine: units that its systemd runs}; None while one cannot be asked."""
        found = {name: self.running_units(name) for name in self.machines}
        return None if None in found.values() else found

    def registered(self):
        """{unit: desired state} in the registry, as far as it was watched."""
        found = {}
        for change in self.watch.changes():
            if change.what == "unit":
                found[change.unit] = (DESTROYED if change.deleted else
                                      ("inactive", "loaded", "launched")[change.state])
        return found

    def close(self):
        self.watch.close()
        with open(os.path.join(self.directory, REGISTRY), "w", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(change)) + "\n" for change in self.watch.changes())
        super().close()


def load(directory):
    """The history that a run has left, to be judged again."""
    ttl, machines, powers = 5.0, sorted(os.listdir(os.path.join(directory, JOURNALS))), []
    found = History({each.name: each.unit() for each in plan.subjects(
        len(machines), isolation=True)}, ttl)
    for entry in _lines(directory, LOG):
        what, now = entry["what"], entry["time"]
        if what == "run begins":
            found.ttl = entry.get("ttl", ttl)
        elif what == "fault begins":
            found.faults.append(Fault(entry["kind"], now, FOREVER, tuple(entry["machines"]),
                                      entry["detail"], entry.get("cuts", True)))
        elif what == "fault healed":
            next(fault for fault in found.faults if fault.end == FOREVER and fault.kind
                 == entry["kind"] and fault.machines == tuple(entry["machines"])).end = now
        elif what == "power":
            powers.append((entry["machine"], now, entry["how"]))
        elif what == "outage":
            found.outages.append((entry["machine"], entry["start"], now))
        elif what == "order":
            found.orders += [Order(unit, entry["verb"], now - entry["seconds"], now,
                                   entry["status"] == 0) for unit in entry["units"]]
    found.changes = [Change(**entry) for entry in _lines(directory, REGISTRY)]
    for name in machines:
        found.runs += runs_of(name, os.path.join(directory, JOURNALS, name), [], powers,
                              found.units)
    found.runs.sort(key=lambda run: run.start)
    return found


def runs_of(name, kept, entries, powers, units):
    """A machine's runs, from the copies of its journal and what it has now."""
    copies = [journals.read(os.path.join(kept, copy))
              for copy in (os.listdir(kept) if os.path.isdir(kept) else ())]
    return journals.runs(name, journals.merge(entries, *copies), sorted(
        (when, how) for machine, when, how in powers if machine == name), units)


def _lines(directory, name):
    with open(os.path.join(directory, name), encoding="utf-8") as file:
        return [json.loads(line) for line in file]
