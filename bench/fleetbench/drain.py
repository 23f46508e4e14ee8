"""drain: from the end of each unit's stop on a drained machine to its being active elsewhere."""
import os
import statistics
import tempfile
import time

from . import progress, systemd, units
from .errors import BenchError
from .lab import Lab, describe


def run(options):
    if options.machines < 2:
        raise BenchError("drain needs --machines 2 or more")
    runs = []
    with tempfile.TemporaryDirectory() as directory, Lab(options) as lab:
        describe(lab)
        units.write_template(directory)
        with open(os.path.join(directory, f"{units.FLEET}@.service"), "a",
                  encoding="ascii") as file:
            # As if they were different units: of a template one goes after the other.
            file.write("\n[X-Fleet]\nMaxUnavailable=100%\n")
        for number in range(1, options.runs + 1):
            runs.append(_drain(lab, directory, units.names(units.FLEET, options.units)))
            progress.say(f"drain of {options.units} units, run {number} of {options.runs}: "
                         + ", ".join(f"{name} {value:.3f}" for name, value in runs[-1].items()))
    return runs


def _drain(lab, directory, names):
    source, *others = lab.machines
    lab.fleetctl("cordon", *(machine.id for machine in others))
    lab.fleetctl("start", *names, cwd=directory)
    lab.fleetctl("uncordon", *(machine.id for machine in others))
    began = time.monotonic()
    lab.fleetctl("drain", source.id)
    returned = time.monotonic()
    systemd.last_active(others, f"{units.FLEET}@*", names)
    active = systemd.active_since(others, f"{units.FLEET}@*")
    stopped = systemd.stopped([source], names, began)
    interrupted = [active[name] - stopped[name] for name in names]
    lab.fleetctl("uncordon", source.id)
    lab.fleetctl("destroy", *names, cwd=directory)
    progress.wait_until("the removal of the unit files",
                        lambda: not any(units.files_left(m) for m in lab.machines), 300, 0.1)
    units.require_clean(lab)
    return {"interruption": statistics.median(interrupted),
            "longest_interruption": max(interrupted),
            "active": max(active[name] for name in names) - began,
            "returned": returned - began}
