"""The runs of units, from what systemd wrote into each machine's journal.

PID 1 logs each step with the unit, its InvocationID and the job that it belongs to. A message's
time is the one at which PID 1 sent it, not the one at which journald read it. The journal lies
on the machine's disk and outlives a power loss.
"""
import json
import os
import subprocess

from ..errors import LabError
from .history import FOREVER, OWN, POWER, SHUTDOWN, STOPPED, Run

STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
STARTED = "39f53479d3a045ac8e11786248231fbf"
STOPPING = "de5b426a63be47a7b6ac3eaac82e2f6f"
ENDED_WELL = "7ad2d189f7e94e70a38c781354912448"
FAILED = "d9b373ed55a64feb8242e02dbe79a49c"
ALL_STOPPED = "9d1aaa27d60140bd96365438aad20286"
_MESSAGES = (STARTING, STARTED, STOPPING, ENDED_WELL, FAILED, ALL_STOPPED)
_FIELDS = "MESSAGE_ID,UNIT,INVOCATION_ID,JOB_TYPE,JOB_RESULT,_SOURCE_REALTIME_TIMESTAMP"


def read(directory):
    """The entries of PID 1 about units in a journal's directory, oldest first."""
    if not os.path.isdir(directory):
        return []
    done = subprocess.run(
        ["journalctl", f"--directory={directory}", "--output=json", "--all",
         f"--output-fields={_FIELDS}", "_PID=1",
         *(f"MESSAGE_ID={message}" for message in _MESSAGES)],
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode not in (0, 1):  # 1: nothing matched
        raise LabError(f"journalctl cannot read {directory}: {done.stderr.decode().strip()}")
    entries = []
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        entries.append({"message": entry["MESSAGE_ID"], "unit": entry.get("UNIT", ""),
                        "invocation": entry.get("INVOCATION_ID", ""),
                        "job": entry.get("JOB_TYPE", ""), "boot": entry["_BOOT_ID"],
                        "time": int(entry.get("_SOURCE_REALTIME_TIMESTAMP")
                                    or entry["__REALTIME_TIMESTAMP"]) / 1e6})
    return sorted(entries, key=lambda entry: entry["time"])


def merge(*lists):
    """The entries of copies of one machine's journal, each once."""
    seen = {tuple(entry.values()): entry for entries in lists for entry in entries}
    return sorted(seen.values(), key=lambda entry: entry["time"])


def runs(machine, entries, powers, names):
    """The runs of the units in `names`. `powers`: [(time, "power loss" or "shutdown")], when
    machine went off, each at the end of a boot."""
    found = {}
    boots = {}
    for entry in entries:
        boots.setdefault(entry["boot"], [entry["time"], entry["time"]])[1] = entry["time"]
        if entry["unit"] not in names or not entry["invocation"]:
            continue
        key = entry["boot"], entry["invocation"], entry["unit"]
        run = found.get(key)
        if run is None:
            if entry["message"] in (STARTING, STARTED):
                found[key] = Run(entry["unit"], machine, entry["boot"], entry["invocation"],
                                 entry["time"])
        elif entry["message"] == STOPPING:
            run.ordered = min(run.ordered, entry["time"])
        elif entry["message"] in (ENDED_WELL, FAILED, ALL_STOPPED) and run.end == FOREVER:
            run.end = entry["time"]
            run.how = STOPPED if run.ordered <= run.end else OWN
    ends = _ends(boots, powers)
    for run in found.values():
        if run.end == FOREVER and run.boot in ends:
            run.end, run.how = ends[run.boot]
    return sorted(found.values(), key=lambda run: run.start)


def _ends(boots, powers):
    """{boot: (when the machine went off, how)} of all boots but the one that goes on."""
    order = sorted(boots, key=lambda boot: boots[boot][0])
    ends = {}
    for boot, following in zip(order, [*order[1:], None]):
        limit = boots[following][0] if following else FOREVER
        off = [power for power in powers if boots[boot][1] <= power[0] <= limit]
        if off:
            ends[boot] = (off[0][0], POWER if off[0][1] == "power loss" else SHUTDOWN)
        elif following:
            ends[boot] = (limit, SHUTDOWN)
    return ends
