"""rollout: a rolling update of N instances, a tenth of them at a time."""
import os
import tempfile
import time

from . import progress, systemd, units
from .errors import BenchError
from .lab import Lab, describe

HEALTHY_AFTER = 2  # seconds, fleet's default
TEMPLATE = f"{units.FLEET}@.service"


def run(options):
    at_once = max(1, options.units // 10)
    with tempfile.TemporaryDirectory() as directory, Lab(options, options.ttl) as lab:
        describe(lab)
        units.write_template(directory)
        names = units.names(units.FLEET, options.units)
        lab.fleetctl("scale", TEMPLATE, str(options.units), cwd=directory)
        systemd.last_active(lab.machines, f"{units.FLEET}@*", names)
        runs = [_run(lab, directory, names, at_once, number) for number in range(options.runs)]
    progress.say(f"rollout, {options.runs} runs of {options.units} units, {at_once} at a time")
    return runs


def _run(lab, directory, names, at_once, number):
    path = os.path.join(directory, "new", TEMPLATE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{units.TEXT}Environment=RUN={number}\n")
    began = time.monotonic()
    lab.fleetctl("update", path, f"--max-unavailable={at_once}", "--timeout=10m")
    took = time.monotonic() - began
    stopped = systemd.stopped(lab.machines, names, began)
    started = systemd.active_since(lab.machines, f"{units.FLEET}@*")
    down = sorted((stopped[name], started[name]) for name in names)
    if any(up < at for at, up in down):
        raise BenchError("not all units are active again")
    batches = [down[first:first + at_once] for first in range(0, len(down), at_once)]
    own = sum(max(up for _, up in batch) - batch[0][0] for batch in batches)
    bound = own + len(batches) * HEALTHY_AFTER
    return {"total": took, "bound": bound, "ratio": took / bound, "most_down": _most(down)}


def _most(down):
    """How many were down at the same time."""
    changes = sorted([(at, 1) for at, _ in down] + [(at, -1) for _, at in down])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
