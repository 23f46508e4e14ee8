"""The lab that a case brings up for itself, by the lab's own command."""
import json
import os
import subprocess

from . import progress
from .errors import BenchError

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
DEFAULT_BIN = os.path.join(SOURCE, "build", "release", "bin")
LAB = os.path.join(SOURCE, "lab", "lab")
FLEETCTL_SECONDS = 600


class Machine:
    """One machine of the lab, as it runs since its last boot."""

    def __init__(self, lab, status):
        self.lab = lab
        self.name = status["name"]
        self.id = status["id"]
        self.pid = status["pid"]  # its systemd, as the host numbers it
        self.interface = status["interface"]

    def path(self, inside):
        """A path of the running machine, as the host sees it (its /run too)."""
        return f"/proc/{self.pid}/root{inside}"

    def open(self, argv, **options):
        """Starts a command in the machine."""
        return subprocess.Popen([LAB, "exec", "--name", self.lab.name, self.name, "--", *argv],
                                text=True, **options)

    def run(self, argv, check=True):
        """Runs a command in the machine and returns what it printed."""
        return finish(self.open(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE), argv, check)

    def fleetd(self):
        """The pid of its fleetd, as the host numbers it."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            for pid in file.read().split():
                with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                    if comm.read().strip() == "fleetd":
                        return int(pid)
        raise BenchError(f"{self.name} has no fleetd")


class Lab:
    """`with Lab(…) as lab`: up in the beginning, down in the end."""

    def __init__(self, options, ttl=None, etcd=1, fleet=True, machines=None):
        self.name = f"bench-{os.getpid()}" + ("" if fleet else "-plain")
        self.fleet = fleet
        self.bin = os.path.abspath(options.bin)
        self.count = machines or options.machines
        self.ttl = ttl
        self.etcd = etcd if fleet else 0
        self.environment = {}
        self.machines = []
        self.members = []
        self.directory = ""

    def __enter__(self):
        ttl = ["--ttl", f"{self.ttl:g}"] if self.ttl else []
        kind = ["--etcd", str(self.etcd or "none")] + ([] if self.fleet else ["--no-fleet"])
        try:
            self._lab("up", "--machines", str(self.count), "--bin", self.bin, "--size", "4G",
                      *kind, *ttl)
            self.refresh()
            found = json.loads(self._lab("env", "-o", "json"))
        except BaseException:
            self._lab("down")
            raise
        self.environment = {**os.environ, **found,
                            "PATH": self.bin + ":/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        return self

    def __exit__(self, *_):
        self._lab("down")

    def _lab(self, verb, *arguments):
        argv = [LAB, verb, "--name", self.name, *arguments]
        return finish(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True), argv)

    def refresh(self):
        """Reads the lab's status: pids change with each boot."""
        status = json.loads(self._lab("status", "-o", "json"))
        self.machines = [Machine(self, each) for each in status["machines"]]
        self.members = status["etcd"]
        self.directory = status["directory"]
        return status

    def address(self, machine):
        """Host and port of the machine's API."""
        endpoints = self.environment["FLEETCTL_ENDPOINT"].split(",")
        host, _, port = endpoints[self.machines.index(machine)].partition("://")[2].rpartition(":")
        return host, int(port)

    def crash(self, machine):
        """Power loss; the caller has cut the cable, which is what the others see of it."""
        self._lab("crash", machine.name)

    def kill_member(self, number):
        self._lab("etcd", "stop", "--kill", "--member", str(number))

    def on_each(self, commands):
        """Runs a command on each of several machines at once: {machine: argv}, and its output."""
        running = {machine: machine.open(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE)
                   for machine, argv in commands.items()}
        return {machine: finish(process, commands[machine])
                for machine, process in running.items()}

    def fleetctl(self, *arguments, cwd=None, check=True):
        """Runs fleetctl and returns what it printed."""
        argv = ["fleetctl", *arguments]
        return finish(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True, cwd=cwd,
                                       env=self.environment), argv, check)


def finish(process, argv, check=True):
    """What the process printed; BenchError with what it said if it fails or does not end."""
    try:
        output, said = process.communicate(timeout=FLEETCTL_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise BenchError(f"{_brief(argv)} did not end in {FLEETCTL_SECONDS} s") from None
    except BaseException:  # we are to end: nothing may go on building what we take down
        process.terminate()
        process.wait()
        raise
    if check and process.returncode:
        raise BenchError(f"{_brief(argv)} failed ({process.returncode}): "
                         f"{(said or output or '').strip()[-2000:]}")
    return output


def _brief(argv):
    words = [os.path.basename(argv[0]), *argv[1:]]
    return " ".join(words if len(words) < 14 else [*words[:12], f"… ({len(words)} words)"])


def describe(lab):
    progress.say(f"lab {lab.name}: {len(lab.machines)} machines, {lab.etcd or 'no'} etcd"
                 + (f", TTL {lab.ttl:g} s" if lab.ttl else ""))
