"""start and destroy: N sleeping services by fleet and by systemd alone, alternating.

systemd alone has machines of its own, without fleetd: where fleetd listens to systemd, each unit
costs systemd a few signals more, also a unit that is not fleet's.
"""
import tempfile
import time

from . import plain, progress, systemd, units
from .lab import Lab, describe


def start(options):
    return _runs(options, "start")


def destroy(options):
    return _runs(options, "destroy")


def _runs(options, measured):
    runs = []
    with tempfile.TemporaryDirectory() as directory, Lab(options) as lab, \
            Lab(options, fleet=False) as plain_lab:
        describe(lab)
        describe(plain_lab)
        units.write_template(directory)
        _fleet(lab, directory, 1)  # the first start of a machine reads programs from the disk
        _plain(plain_lab, 1)
        for number in range(1, options.runs + 1):
            sides = [lambda: _fleet(lab, directory, options.units),
                     lambda: _plain(plain_lab, options.units)]
            if number % 2:
                fleet, bound = (side()[measured] for side in sides)
            else:
                bound, fleet = (side()[measured] for side in reversed(sides))
            runs.append(_run(measured, fleet, bound))
            progress.say(f"{measured} {options.units} units, run {number} of {options.runs}: "
                         + ", ".join(f"{k} {v:.3f}" for k, v in runs[-1].items()))
    return runs


def _run(measured, fleet, bound):
    reached = {"start": "active", "destroy": "gone"}[measured]
    return {reached: fleet[0], "returned": fleet[1], "plain": bound[0],
            "plain_returned": bound[1], "ratio": fleet[0] / bound[0]}


def _fleet(lab, directory, count):
    """Starts and destroys by fleetctl: {"start": (active, returned), "destroy": (gone, …)}."""
    names = units.names(units.FLEET, count)
    began = time.monotonic()
    lab.fleetctl("start", *names, cwd=directory)
    returned = time.monotonic()
    active = systemd.last_active(lab.machines, f"{units.FLEET}@*", names)
    started = (active - began, returned - began)

    began = time.monotonic()
    lab.fleetctl("destroy", *names, cwd=directory)
    returned = time.monotonic()
    progress.wait_until("the removal of the unit files",
                        lambda: not any(units.files_left(m) for m in lab.machines), 300, 0.1)
    stopped = systemd.last_stopped(lab.machines, names, began)
    units.require_clean(lab)
    return {"start": started, "destroy": (stopped - began, returned - began)}


def _plain(lab, count):
    started = plain.start(lab, count)
    stopped = plain.stop(lab, count)
    units.require_clean(lab)
    return {"start": started, "destroy": stopped}
