"""The lab as faults and users see it, and the log of what they did."""
import json
import os
import subprocess
import threading
import time

from .. import enter, etcd, lifecycle, machine, process, report, state
from .. import layout as names
from ..errors import LabError
from .history import FOREVER, Fault


class World:
    """A lab that is up. All methods may be called from any thread."""

    def __init__(self, layout, directory):
        self.layout = layout
        self.directory = directory
        self.current = state.require(layout)
        self.ttl = float(self.current["ttl"] or 10)
        self.machines = [each.name for each in lifecycle.all_machines(layout, self.current)]
        self.id = {name: layout.machine_named(name).machine_id() for name in self.machines}
        self.of_id = {id_: name for name, id_ in self.id.items()}
        variables, self.bin = report.variables(layout)
        self.environment = {**process.CLEAN_ENV, **variables, "NO_COLOR": "1"}
        self.powers = []   # (machine, time, "power loss" or "shutdown")
        self.outages = []  # (machine, start, end) of clean ends of fleetd, and of the machine
        self.faults = []
        self._lock = threading.Lock()
        os.makedirs(directory, exist_ok=True)
        self._log = open(os.path.join(directory, "log.jsonl"), "a", encoding="utf-8")

    # --- the log ---------------------------------------------------------------------------------

    def log(self, what, **more):
        now = time.time()
        with self._lock:
            self._log.write(json.dumps({"time": round(now, 4), "what": what, **more}) + "\n")
            self._log.flush()
        return now

    def open_fault(self, kind, machines=(), detail="", cuts=True):
        """Notes that a fault begins, before it does. `close_fault` after it was healed."""
        now = self.log("fault begins", kind=kind, machines=machines, detail=detail, cuts=cuts)
        fault = Fault(kind, now, FOREVER, tuple(machines), detail, cuts)
        with self._lock:
            self.faults.append(fault)
        return fault

    def close_fault(self, fault):
        fault.end = self.log("fault healed", kind=fault.kind, machines=fault.machines)

    # --- machines --------------------------------------------------------------------------------

    def layout_of(self, name):
        return self.layout.machine_named(name)

    def is_on(self, name):
        return machine.is_powered(self.layout, self.layout_of(name))

    def run(self, name, *command, seconds=30):
        """Runs a command in a machine as root; (status, output). Status 125: it is not running."""
        pid = enter.leader(self.layout, self.layout_of(name))
        if pid is None:
            return enter.NOT_RUNNING, ""
        try:
            done = subprocess.run([*enter.nsenter(pid), *command], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=seconds, check=False, env=enter.environment())
        except subprocess.TimeoutExpired:
            return 124, ""
        return done.returncode, done.stdout

    def note_power(self, name, how):
        now = self.log("power", machine=name, how=how)
        with self._lock:
            self.powers.append((name, now, how))

    def note_outage(self, name, start):
        now = self.log("outage", machine=name, start=start)
        with self._lock:
            self.outages.append((name, start, now))

    def running_units(self, name):
        """The units of the test that this machine's systemd runs; None while it cannot say."""
        status, output = self.run(name, "systemctl", "list-units", "--all", "--plain",
                                  "--no-legend", "--state=active,activating,deactivating",
                                  "c-*", seconds=10)
        return {line.split()[0] for line in output.splitlines()} if status == 0 else None

    # --- etcd ------------------------------------------------------------------------------------

    def members(self):
        return etcd.members(self.layout, self.current)

    def etcdctl(self, *arguments, seconds=10):
        """What etcdctl prints, or None."""
        try:
            done = subprocess.run(["etcdctl", *arguments], env=self.environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout if done.returncode == 0 else None

    # --- fleet -----------------------------------------------------------------------------------

    def endpoint(self, name):
        return f"http://{self.layout_of(name).ip(self.current['subnet'])}:{names.API_PORT}"

    def ctl(self, machines, *arguments, directory=None, seconds=20):
        """fleetctl, asking these machines in this order; (status, output)."""
        environment = {**self.environment, "FLEETCTL_ENDPOINT": ",".join(
            self.endpoint(name) for name in machines)}
        try:
            done = subprocess.run([os.path.join(self.bin, "fleetctl"), *arguments],
                                  cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=seconds, check=False)
        except subprocess.TimeoutExpired:
            return 124, "no answer in time"
        return done.returncode, done.stdout.strip()

    def close(self):
        self._log.close()


def try_to(action, *arguments):
    """What is healed twice, or by a reboot, is no failure."""
    try:
        action(*arguments)
    except LabError:
        pass
