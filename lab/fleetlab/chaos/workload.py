"""Users: threads that run fleetctl against the cluster, and remember what it acknowledged."""
import os
import random
import threading
import time

from ..errors import LabError
from . import plan
from .history import Order

WORKERS = 2
DESTROYED, LOADED, LAUNCHED, UNKNOWN = "destroyed", "loaded", "launched", "unknown"
_AFTER = {"start": LAUNCHED, "replace": LAUNCHED, "restart": LAUNCHED, "stop": LOADED,
          "destroy": DESTROYED}


class Workload:
    """`start` begins; `stop` ends and waits for the commands under way."""

    def __init__(self, world, seed, isolation=False):
        self._world = world
        self._seed = seed
        self._stopped = threading.Event()
        self._threads = []
        self._lock = threading.Lock()
        self.subjects = {subject.name: subject for subject in plan.subjects(
            len(world.machines), isolation)}
        self.orders = []
        self.wanted = {name: DESTROYED for name in self.subjects}  # as it was acknowledged
        self._files = os.path.join(world.directory, "units")
        os.makedirs(self._files, exist_ok=True)

    def units(self):
        return {each.name: each.unit() for each in self.subjects.values()}

    def start(self):
        """Starts every unit, and then lets users at them."""
        for subject in self.subjects.values():
            self._write(subject, 0)
        done, said = self._order("start", list(self.subjects), self._world.machines,
                                 "start", "--no-block", *self.subjects)
        if done:
            raise LabError(f"the units did not start: {said}")
        for worker in range(WORKERS):
            thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self):
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def start_all_unknown(self):
        """After the faults: what a command left unknown is asked for again."""
        unknown = [name for name, state in self.wanted.items() if state == UNKNOWN]
        for name in unknown:
            self._write(self.subjects[name], 0)
            self._order("start", [name], self._world.machines, "start", "--no-block", name)
        return unknown

    def _work(self, worker):
        shuffle = random.Random(f"{self._seed} endpoints {worker}")
        for command in plan.commands(self._seed, list(self.subjects.values()), worker,
                                     WORKERS):
            if self._stopped.wait(command.pause):
                return
            machines = list(self._world.machines)
            shuffle.shuffle(machines)
            self._carry_out(command, machines)

    def _carry_out(self, command, machines):
        name = command.subject.name
        now = self.wanted[name]
        verb = command.verb
        if now == DESTROYED and verb in ("stop", "destroy", "restart"):
            verb = "start"
        if now == LOADED and verb == "restart":
            verb = "start"
        options = ["--no-block"]
        if verb == "replace":
            self._write(command.subject, command.version)
            arguments = ["start", "--replace", *options, name]
        elif verb == "destroy":
            arguments = ["destroy", *options, name]
        else:
            arguments = [verb, *options, name]
        if verb == "start" and now == DESTROYED:
            self._write(command.subject, command.version)
        self._order(verb, [name], machines, *arguments)

    def _order(self, verb, names, machines, *arguments):
        began = time.time()
        with self._lock:
            orders = [Order(name, verb, began, float("inf"), False) for name in names]
            self.orders += orders
            for name in names:
                self.wanted[name] = UNKNOWN
        status, said = self._world.ctl(machines, *arguments, directory=self._files)
        with self._lock:
            for order in orders:
                # What was not acknowledged may be done at any time until somebody looked.
                order.acknowledged = status == 0
                order.end = time.time()
                if status == 0:
                    self.wanted[order.unit] = _AFTER[verb]
        self._world.log("order", verb=verb, units=names,
                        asked=machines[0], status=status, said=said[-300:] if status else "",
                        seconds=round(time.time() - began, 3))
        return status, said

    def _write(self, subject, version):
        with open(os.path.join(self._files, subject.name), "w", encoding="utf-8") as file:
            file.write(subject.text(version))
