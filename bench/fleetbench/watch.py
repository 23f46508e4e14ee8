"""watch: many clients of one machine's /watch while units change, all of it over its API.

The machine is the one whose engine leads. build/release/bin/watch-load (src/api/watch_load.cc) is
the clients and whoever changes units, and measures; here are the lab and the bookkeeping.
"""
import json
import os
import subprocess

from . import etcd, progress
from .errors import BenchError
from .lab import Lab, describe

PATIENCE_SECONDS = 180  # beyond the time of the changes


def run(options):
    program = os.path.join(options.bin, "watch-load")
    if not os.access(program, os.X_OK):
        raise BenchError(f"there is no {program}; `scripts/build` makes it")
    runs = []
    for number in range(1, options.runs + 1):
        # A lab of its own: memory that an earlier run has left says nothing of this one.
        with Lab(options, options.ttl) as lab:
            describe(lab)
            runs.append(_one(program, lab, options))
        progress.say(f"watch, run {number} of {options.runs}: "
                     + ", ".join(f"{name} {value:g}" for name, value in runs[-1].items()))
    return runs


def _one(program, lab, options):
    leader = etcd.engine_leader(lab.members[0]["endpoint"])
    machine = next((each for each in lab.machines if each.id == leader), lab.machines[0])
    host, port = lab.address(machine)
    command = [program, host, str(port), str(machine.fleetd()), str(options.clients),
               str(options.rate), f"{options.seconds:.0f}"]
    try:
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               timeout=options.seconds + PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{program} did not end in {error.timeout:.0f} s") from None
    if ended.returncode != 0:
        raise BenchError(f"{program} failed: {ended.stderr.strip()[-500:]}")
    figures = json.loads(ended.stdout)
    del figures["clients"]
    return figures
