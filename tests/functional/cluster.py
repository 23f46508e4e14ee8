"""A lab with fleet in it, as tests see it: machines by name, fleetctl, and waiting for conditions."""
import base64
import contextlib
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "lab" / "lab")
BIN = Path(os.environ.get("FLEET_BIN", ROOT / "build/release/bin")).resolve()

# What is compared to find out whether systemd has started a unit anew.
RUN_PROPERTIES = ("MainPID", "InvocationID", "NRestarts", "ActiveState")


def service(*lines, fleet=(), install=()):
    """The text of a service that sleeps; `lines` go to [Service], `fleet` to [X-Fleet]."""
    text = ["[Service]"]
    if not any(line.startswith("ExecStart=") for line in lines):
        text.append("ExecStart=/bin/sleep infinity")
    text += lines
    for section, content in (("X-Fleet", fleet), ("Install", install)):
        if content:
            text += ["", f"[{section}]", *content]
    return "\n".join(text) + "\n"


def wait_for(condition, what, seconds=30):
    """Waits until condition() is true, and returns that value. `what` tells what failed to come;
    it may be a function that is called for the words."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            words = what() if callable(what) else what
            raise AssertionError(f"waited {seconds} s in vain: {words}")
        time.sleep(0.1)


class Cluster:
    """A lab that is up. Machines are named m1, m2, …; `ctl` is fleetctl on the host, over TCP."""

    MACHINES = 3  # unless it is told

    def __init__(self, machines=MACHINES, ttl=3, etcd="1", metadata=(), conf=(), fleet=True,
                 containers=(), up=()):
        """`up`: more options of `lab up`."""
        self.name = f"fn-{secrets.token_hex(4)}"
        self.files = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.ttl = ttl
        options = ["--machines", str(machines), "--etcd", etcd, "--ttl", str(ttl),
                   "--bin", str(BIN), *up]
        options += [] if fleet else ["--no-fleet"]
        for entry in metadata:
            options += ["--metadata", entry]
        for line in conf:
            options += ["--conf", line]
        options += [word for engine in containers for word in ("--containers", engine)]
        done = subprocess.run([LAB, "up", "--name", self.name, *options], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                              check=False)
        if done.returncode != 0:
            self.down()
            raise AssertionError(f"the lab did not come up\n{done.stdout}")
        self.env = {**os.environ, **json.loads(self.lab("env", "-o", "json")), "NO_COLOR": "1"}
        status = json.loads(self.lab("status", "-o", "json"))
        self.machines = [machine["name"] for machine in status["machines"]]
        self.id = {machine["name"]: machine["id"] for machine in status["machines"]}
        self.ip = {machine["name"]: machine["ip"] for machine in status["machines"]}
        self.of_id = {id_: name for name, id_ in self.id.items()}

    def down(self):
        subprocess.run([LAB, "down", "--name", self.name], check=False, timeout=180)
        subprocess.run(["rm", "-rf", str(self.files)], check=False)

    # --- the lab -----------------------------------------------------------------------------

    def lab(self, verb, *arguments):
        """Runs a verb of the lab, which has to succeed, and returns what it printed."""
        done = subprocess.run([LAB, verb, "--name", self.name, *arguments], text=True,
                              capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, f"lab {verb} {arguments}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run(self, machine, *command, status=0, **options):
        """Runs a command in a machine as root and returns its stdout. status None: any."""
        done = subprocess.run([LAB, "exec", "--name", self.name, machine, "--", *command],
                              text=True, capture_output=True, timeout=300, check=False, **options)
        assert status is None or done.returncode == status, (
            f"{machine}: {command} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def shell(self, machine, script, status=0):
        return self.run(machine, "sh", "-c", script, status=status)

    def journal(self, machine, lines=40):
        done = subprocess.run([LAB, "logs", "--name", self.name, machine, "-u", "fleet", "-n",
                               str(lines)], text=True, capture_output=True, timeout=60,
                              check=False)
        return done.stdout + done.stderr

    # --- fleetctl ----------------------------------------------------------------------------

    def ctl(self, *arguments, status=0, at=None, env=None, binary=False, timeout=120, **options):
        """Runs fleetctl in the directory of `files` and checks its exit status (None: any).
        at="m2": asks that machine only."""
        environment = {**self.env, **(env or {})}
        if at:
            environment["FLEETCTL_ENDPOINT"] = f"http://{self.ip[at]}:49153"
        done = subprocess.run([str(BIN / "fleetctl"), *arguments], cwd=self.files,
                              env=environment, capture_output=True, text=not binary,
                              timeout=timeout, check=False, **options)
        assert status is None or done.returncode == status, (
            f"fleetctl {arguments} ended with {done.returncode}, not {status}\n"
            f"{done.stdout}{done.stderr}")
        return done

    def file(self, name, content=None):
        """Writes a unit file for fleetctl, and returns its name."""
        content = service() if content is None else content
        data = content if isinstance(content, bytes) else content.encode()
        (self.files / name).write_bytes(data)
        return name

    def start(self, name, content=None):
        """Starts a unit with this text and returns the machine that runs it."""
        self.file(name, content)
        self.ctl("start", name)
        return self.where(name)

    def list(self, what, at=None):
        """The entities of list-units, list-unit-files or list-machines, [] when none answers."""
        done = self.ctl(what, "-o", "json", status=None, at=at)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else []

    def units(self, at=None):
        return {unit["name"]: unit for unit in self.list("list-unit-files", at)}

    def unit(self, name):
        return self.units().get(name, {})

    def members(self, at=None):
        """The names of the machines that are in the cluster."""
        return {self.of_id.get(machine["id"], machine["id"])
                for machine in self.list("list-machines", at)}

    def states(self, name, at=None):
        """{machine: systemdActiveState} of a unit."""
        return {self.of_id[state["machineID"]]: state["systemdActiveState"]
                for state in self.list("list-units", at) if state["name"] == name}

    def active(self, name, at=None):
        """The machines where a unit is active according to fleet."""
        return sorted(machine for machine, state in self.states(name, at).items()
                      if state == "active")

    def where(self, name, at=None):
        """The machine where a unit is active, or None."""
        machines = self.active(name, at)
        return machines[0] if len(machines) == 1 else None

    def wait_where(self, name, accept=lambda machine: True, seconds=30, at=None):
        """Waits until the unit is active on a machine that `accept` accepts; returns it."""
        def condition():
            machine = self.where(name, at)
            return machine if machine and accept(machine) else None
        return wait_for(condition, lambda: f"{name} runs on {self.states(name, at)}, "
                        f"{self.unit(name)}", seconds)

    def wait_members(self, *machines, seconds=30, at=None):
        wait_for(lambda: self.members(at) == set(machines),
                 lambda: f"machines {self.members(at)}, not {machines}", seconds)

    # --- systemd and the registry ------------------------------------------------------------

    def show(self, machine, name, *properties):
        """Properties of a unit as systemd on that machine has them."""
        properties = properties or RUN_PROPERTIES
        out = self.run(machine, "systemctl", "show", "-p", ",".join(properties), name)
        return dict(line.split("=", 1) for line in out.splitlines())

    def runs(self, *machines):
        """{(machine, unit): RUN_PROPERTIES} of all of fleet's units, as systemd has them."""
        found = {}
        for machine in machines or self.machines:
            units = self.local_units(machine)
            if not units:  # systemctl would show itself
                continue
            out = self.run(machine, "systemctl", "show", "-p", ",".join(RUN_PROPERTIES), *units)
            for unit, lines in zip(units, out.split("\n\n"), strict=True):
                found[machine, unit] = dict(line.split("=", 1) for line in lines.splitlines())
        return found

    def local_units(self, machine):
        """The units that fleet keeps on a machine."""
        listed = self.shell(machine, "ls -1 /run/fleet/units")
        return listed.split()

    def is_active(self, machine, name):
        """Asks systemd, not fleet."""
        return self.run(machine, "systemctl", "is-active", name, status=None).strip() == "active"

    def keys(self, prefix="/fleet/"):
        """{key: (create revision, mod revision)} in the registry."""
        if "ETCDCTL_ENDPOINTS" not in self.env:
            return self.embedded_keys(prefix)
        out = subprocess.run(["etcdctl", "get", prefix, "--prefix", "--keys-only", "-w", "json"],
                             env=self.env, text=True, capture_output=True, check=True,
                             timeout=60).stdout
        return {base64.b64decode(entry["key"]).decode():
                (entry["create_revision"], entry["mod_revision"])
                for entry in json.loads(out).get("kvs", [])}

    def embedded_keys(self, prefix):
        """The same of m1's own registry: from a copy, because fleetd has the file for itself."""
        folder = Path(json.loads(self.lab("status", "-o", "json"))["machines"][0]["root"],
                      "var/lib/fleet")
        names = ("registry.db", "registry.db-wal")

        def times():
            return [(folder / name).stat().st_mtime_ns for name in names
                    if (folder / name).exists()]
        with tempfile.TemporaryDirectory() as copy:
            def copied():
                before = times()
                for name in names:
                    if (folder / name).exists():
                        shutil.copy(folder / name, copy)
                return before == times()
            wait_for(copied, "a copy of the registry that is not written to")
            with contextlib.closing(sqlite3.connect(Path(copy, names[0]))) as database:
                rows = database.execute("SELECT v.key, v.create_revision, v.mod_revision FROM live "
                                        "JOIN version v USING (id)").fetchall()
        return {bytes(key).decode(): tuple(revisions) for key, *revisions in rows
                if bytes(key).startswith(prefix.encode())}

    def created(self, prefix):
        """{key: create revision}: the same as long as the key was there all the time."""
        return {key: revisions[0] for key, revisions in self.keys(prefix).items()}

    def leader(self):
        """The machine whose engine leads."""
        out = subprocess.run(["etcdctl", "get", "/fleet/leader", "--print-value-only"],
                             env=self.env, capture_output=True, check=True, timeout=60).stdout
        return next((name for name, id_ in self.id.items() if id_.encode() in out), None)

    def clean(self):
        """Destroys every unit; every machine has to be there."""
        self.wait_members(*self.machines)
        said = []

        def is_clean():
            """Asks again where a busy machine was just cut off from its registry."""
            if self.units():
                said.append(self.ctl("destroy", "--timeout=10s", "*", status=None).stderr)
            return not self.list("list-units") and not self.units()
        wait_for(is_clean, lambda: f"units remain: {self.ctl('list-units', status=None).stdout}\n"
                                   f"{said}", seconds=60)
