"""latency: list-units and list-unit-files, whole process, from its start to its end."""
import subprocess
import tempfile
import time

from . import progress, systemd, units
from .errors import BenchError
from .lab import Lab, describe

COMMANDS = ("list-units", "list-unit-files")
BOUND = "version"  # a fleetctl that asks nobody: what the process alone costs


def run(options):
    with tempfile.TemporaryDirectory() as directory, Lab(options, options.ttl) as lab:
        describe(lab)
        units.write_template(directory)
        names = units.names(units.FLEET, options.units)
        lab.fleetctl("start", *names, cwd=directory)
        systemd.last_active(lab.machines, f"{units.FLEET}@*", names)
        for command in COMMANDS:  # each is right, before it is quick
            listed = {line.split()[0] for line in
                      lab.fleetctl(command, "--no-legend").splitlines()}
            if listed != set(names):
                raise BenchError(f"{command} lists {len(listed)} of {len(names)} units")
        runs = [_run(lab) for _ in range(options.runs)]
    progress.say(f"latency, {options.runs} runs with {options.units} units")
    return runs


def _run(lab):
    found = {command.replace("-", "_"): _seconds(lab, command) for command in COMMANDS}
    return {**found, "process": _seconds(lab, BOUND)}


def _seconds(lab, command):
    began = time.monotonic()
    done = subprocess.run(["fleetctl", command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, env=lab.environment, check=False)
    took = time.monotonic() - began
    if done.returncode:
        raise BenchError(f"fleetctl {command} failed ({done.returncode})")
    return took
