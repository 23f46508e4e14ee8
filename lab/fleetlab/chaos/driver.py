"""One run: the workload, the faults of the plan, healing, quiet, and what the records say."""
import threading
import time
import traceback

from ..errors import LabError
from . import checker, faults, plan
from .history import FOREVER, Violation
from .workload import DESTROYED, UNKNOWN, Workload

AT_ONCE = 3       # faults under way at the same time
PASSING = 3       # so many may overtake a fault that has to wait
QUIET_SECONDS = 5  # nothing may change any more once everything is as it is wanted


class Driver:
    """Makes one run; its results are in `counts`, `failed`, `violations`, `converged`."""

    def __init__(self, world, seed, seconds, kinds=(), isolation=False):
        self.world = world
        self.seconds = seconds
        self.workload = Workload(world, seed, isolation)
        self.ttl = world.ttl
        self.counts = {}
        self.failed = []      # faults that could not be made: [kind, why]
        self.violations = []
        self.converged = None
        self._plan = plan.faults(seed, world.machines, max(2.0, seconds / 5), kinds)
        self._over = threading.Event()
        self._held = set()
        self._waiting = []
        self._passed = 0      # how many faults the first of them has let pass
        self._free = threading.Condition()

    def run(self):
        """Everything; returns the History."""
        began = self.world.log("run begins", seconds=self.seconds, ttl=self.ttl)
        self.workload.start()
        time.sleep(min(3.0, self.seconds / 10))
        threads = []
        deadline = time.time() + self.seconds
        while (step := self._next(deadline)) is not None:
            thread = threading.Thread(target=self._make, args=(step,), daemon=True)
            thread.start()
            threads.append(thread)
            time.sleep(max(0, min(step.gap, deadline - time.time())))
        self._over.set()
        for thread in threads:
            thread.join()
        self.workload.stop()
        left = faults.heal_everything(self.world)
        for fault in self.world.faults:
            if fault.end == FOREVER:  # it could not be made, or not healed
                self.world.close_fault(fault)
        healed = self.world.log("everything is healed", found=left)
        self.workload.start_all_unknown()
        self._converge(healed)
        self.world.log("run ends", seconds=time.time() - began)
        history = self.world.history(self.workload.units(), self.ttl, self.workload.orders)
        self.violations = checker.check(history) + self.violations
        return history

    # --- faults ----------------------------------------------------------------------------------

    def _wants(self, step):
        if step.hold == "all":
            return {"all"}
        return {step.machine if step.hold == "machine" else "etcd"}

    def _next(self, deadline):
        """The next fault of which everything that it takes hold of is free, and holds that. One
        that has to wait lets others pass, but not for ever. None: the time is over."""
        with self._free:
            while time.time() < deadline:
                while len(self._waiting) <= PASSING:
                    self._waiting.append(next(self._plan))
                for step in self._waiting[:1 + PASSING - self._passed]:
                    if self._is_free(step):
                        self._passed = 0 if step is self._waiting[0] else self._passed + 1
                        self._waiting.remove(step)
                        self._held |= self._wants(step)
                        return step
                self._free.wait(max(0, deadline - time.time()))
        return None

    def _is_free(self, step):
        wanted = self._wants(step)
        alone = "all" in wanted or "all" in self._held
        return len(self._held) < AT_ONCE and not (self._held if alone else wanted & self._held)

    def _make(self, step):
        try:
            faults.make(self.world, step, self._over.wait)
            why = ""
        except LabError as error:
            why = str(error)
        except Exception:  # the run must end and be judged all the same
            why = traceback.format_exc()
        with self._free:
            if why:
                self.failed.append([step.kind, why])
                self.world.log("fault failed", kind=step.kind, why=why)
            else:
                self.counts[step.kind] = self.counts.get(step.kind, 0) + 1
            self._held -= self._wants(step)
            self._free.notify_all()

    # --- L1 --------------------------------------------------------------------------------------

    def _converge(self, healed):
        """Waits until everything is as it is wanted, and sees whether it stays so."""
        history = self.world.history(self.workload.units(), self.ttl, ())
        limit = checker.convergence_seconds(history, healed)
        wrong = ["nobody has looked yet"]
        while wrong and time.time() < healed + limit:
            time.sleep(0.3)
            wrong = self._misplaced(history)
        self.converged = round(time.time() - healed, 1)
        if wrong:
            self.violations.append(Violation(
                "L1", time.time(), f"{limit:.0f} s after the last fault not all is as it is "
                "wanted", wrong + self._explanations(wrong)))
            return
        time.sleep(QUIET_SECONDS)  # the last reports
        revision = self.world.watch.revision()
        time.sleep(QUIET_SECONDS)
        wrong = self._misplaced(history)
        if wrong:
            self.violations.append(Violation("L1", time.time(), "what had been as it is wanted "
                                             "did not stay so", wrong))
        written = self.world.watch.keys_since(revision)
        if written:
            self.violations.append(Violation("L2", time.time(), "a cluster at rest wrote to its "
                                             "registry", written))
        self._check_acknowledged()
        self._check_records()

    def _misplaced(self, history):
        actual = self.world.actual()
        if actual is None:
            return ["a machine's systemd does not answer"]
        return checker.misplaced(history, self.world.registered(), actual, self.world.machines)

    def _check_acknowledged(self):
        """S4: what was acknowledged is in the registry."""
        registered = self.world.registered()
        for name, state in self.workload.wanted.items():
            if state != UNKNOWN and registered.get(name, DESTROYED) != state:
                self.violations.append(Violation(
                    "S4", time.time(), f"{name} was acknowledged as {state} and is "
                    f"{registered.get(name, DESTROYED)} in the registry",
                    [f"{order.start:.3f} {order.verb}" for order in self.workload.orders
                     if order.unit == name][-5:]))

    def _check_records(self):
        """What the journals say runs is what each systemd says runs: none of it was lost."""
        history = self.world.history(self.workload.units(), self.ttl, ())
        actual = self.world.actual() or {}
        for machine, units in actual.items():
            recorded = {run.unit for run in history.runs
                        if run.machine == machine and run.end == FOREVER}
            if recorded != units:
                self.violations.append(Violation(
                    "records", time.time(), f"{machine} runs other units than its journal says",
                    [f"only its systemd: {sorted(units - recorded)}",
                     f"only its journal: {sorted(recorded - units)}"]))

    def _explanations(self, wrong):
        """What fleet itself says about units that are not where they should be."""
        names = [text.split()[0] for text in wrong if text.startswith("c-")][:5]
        found = []
        for name in names:
            found.append(self.world.ctl(self.world.machines, "list-unit-files", name,
                                        "--full", "-o", "json")[1])
            found += [self.world.run(machine, "systemctl", "status", "--no-pager", "-n3",
                                     name)[1] for machine in self.world.machines]
        return found
