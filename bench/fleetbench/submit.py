"""submit: N different unit files in one command, from its start to its end; nothing is started.

The bound is `fleetctl verify` of the same files: it reads and checks them and asks nobody.
"""
import os
import tempfile
import time

from . import progress, units
from .errors import BenchError
from .lab import Lab, describe


def run(options):
    with Lab(options, options.ttl) as lab:
        describe(lab)
        _one(lab, 0, 1)  # reads the programs from the disk
        runs = []
        for number in range(1, options.runs + 1):
            runs.append(_one(lab, number, options.units))
            progress.say(f"submit {options.units} unit files, run {number} of {options.runs}: "
                         + ", ".join(f"{k} {v:.3f}" for k, v in runs[-1].items()))
    return runs


def _one(lab, number, count):
    with tempfile.TemporaryDirectory() as directory:
        names = _write_files(directory, number, count)
        verify = _seconds(lab, directory, "verify", names)
        submit = _seconds(lab, directory, "submit", names)
        listed = lab.fleetctl("list-unit-files", "-o", "name").split()
        if sorted(listed) != sorted(names):
            raise BenchError(f"{len(listed)} of {count} submitted units are registered")
        with open(os.path.join(directory, names[-1]), encoding="ascii") as file:
            if lab.fleetctl("cat", names[-1]) != file.read():
                raise BenchError(f"{names[-1]} is registered with another text")
        lab.fleetctl("destroy", *names)
    units.require_clean(lab)
    return {"submit": submit, "verify": verify}


def _write_files(directory, number, count):
    """Files of texts that no other file and no earlier run has."""
    names = [f"{units.FLEET}-{each}.service" for each in range(1, count + 1)]
    for name in names:
        with open(os.path.join(directory, name), "w", encoding="ascii") as file:
            file.write(units.TEXT + f"\n# {name} of run {number}\n")
    return names


def _seconds(lab, directory, verb, names):
    began = time.monotonic()
    lab.fleetctl(verb, *names, cwd=directory)
    return time.monotonic() - began
