"""A lab in which units run, faults are made, and the judge of lab/chaos looks at what happened."""
import sys
import time

from cluster import ROOT, Cluster, wait_for

sys.path.insert(0, str(ROOT / "lab"))

from fleetlab import layout  # noqa: E402  (the path must be set first)
from fleetlab.chaos import checker, faults, plan  # noqa: E402
from fleetlab.chaos.history import FOREVER  # noqa: E402
from fleetlab.chaos.records import RecordedWorld  # noqa: E402

TTL = 3
PLAIN = [plan.Subject(f"c-plain{i}.service") for i in range(1, 7)]
SUBJECTS = [*PLAIN,
            plan.Subject("c-leader.service", related=("c-follower.service",)),
            plan.Subject("c-follower.service", fleet=("MachineOf=c-leader.service",),
                         related=("c-leader.service",)),
            plan.Subject("c-slow.service", ("ExecStart=/bin/sleep infinity",
                                            "ExecStop=/bin/sleep 1"), stop_seconds=1),
            plan.Subject("c-global.service", fleet=("Global=true",), is_global=True)]


class Scene:
    """A cluster in which everything runs; `break_it` makes one fault, and `settle` judges."""

    def __init__(self):
        self.cluster = Cluster(ttl=TTL, etcd="3")
        self.world = RecordedWorld(layout.Layout(self.cluster.name),
                                   str(self.cluster.files / "records"))
        self.units = {each.name: each.unit() for each in SUBJECTS}
        for each in SUBJECTS:
            self.cluster.file(each.name, each.text(1))
        self.cluster.ctl("start", *self.units)

    def break_it(self, kind, machine="", seconds=0.0, draw=0):
        faults.make(self.world, plan.Step(kind, machine, seconds, 0, draw), time.sleep)

    def history(self):
        return self.world.history(self.units, TTL, ())

    def runs(self):
        """{(unit, machine): invocation} of what runs now, by systemd's records."""
        return {(run.unit, run.machine): run.invocation for run in self.history().runs
                if run.end == FOREVER}

    def where(self, unit):
        return [machine for name, machine in self.runs() if name == unit]

    def on(self, machine):
        return {unit for unit, where in self.runs() if where == machine}

    def settle(self):
        """Waits until everything is as it is wanted, which may not take longer than L1 says, and
        checks S1 and S3 over all that has happened in this lab."""
        history = self.history()
        healed = max((fault.end for fault in history.faults), default=0)

        def wrong():
            actual = self.world.actual()
            return ["no answer"] if actual is None else checker.misplaced(
                history, self.world.registered(), actual, self.world.machines)
        wait_for(lambda: not wrong(), wrong,
                 checker.convergence_seconds(history, healed))
        found = checker.check(self.history())
        assert not found, "\n".join(map(str, found))

    def close(self):
        self.world.close()
        self.cluster.down()
