"""scheduler: placements a second, from scheduler-bench (src/scheduler/scheduler_bench.cc); no lab.

Figures are named as its benchmarks are, items_per_second each; what a benchmark says besides is
named with a colon ("million:seconds"). CPU time of the one thread that there is; seconds of
`million`, `lose_machine` and `lose_zone` are of the clock on the wall.
"""
import json
import os
import subprocess

from . import progress
from .errors import BenchError

_STANDARD = {"name", "family_index", "per_family_instance_index", "run_name", "run_type",
             "repetitions", "repetition_index", "threads", "iterations", "real_time", "cpu_time",
             "time_unit", "items_per_second"}


def run(options):
    program = os.path.join(options.bin, "scheduler-bench")
    if not os.access(program, os.X_OK):
        raise BenchError(f"there is no {program}; `scripts/build` makes it")
    runs = []
    for number in range(1, options.runs + 1):
        runs.append(_one(program, options.filter))
        progress.say(f"scheduler, run {number} of {options.runs}: " + ", ".join(
            f"{name} {value / 1e6:.2f} M/s" for name, value in runs[-1].items()
            if name.endswith("/10000")))
    return runs


def _one(program, only):
    command = [program, "--benchmark_format=json"]
    if only:
        command.append(f"--benchmark_filter={only}")
    ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if ended.returncode != 0:
        raise BenchError(f"{program} failed: {ended.stderr.decode(errors='replace')[-500:]}")
    figures = {}
    for each in json.loads(ended.stdout)["benchmarks"]:
        figures[each["name"]] = each["items_per_second"]
        for name, value in each.items():
            if name not in _STANDARD and isinstance(value, (int, float)):
                figures[f"{each['name']}:{name}"] = value
        figures[f"{each['name']}:milliseconds"] = each["real_time"]  # of one iteration
    return figures
