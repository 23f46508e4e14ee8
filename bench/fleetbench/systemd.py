"""When systemd itself says that units started and stopped, read after the fact.

Nothing is polled while the clock runs. The machines are containers: their CLOCK_MONOTONIC and
CLOCK_REALTIME are the host's, so systemd's time stamps compare with time.monotonic() here.
"""
import json
import subprocess
import time

from .errors import BenchError

LINKS = "/run/systemd/system"


def active_since(machines, pattern):
    """{unit: seconds on the monotonic clock} of the active units on these machines."""
    argv = ["systemctl", "show", pattern, "-p", "Id,ActiveState,ActiveEnterTimestampMonotonic"]
    running = [machine.open(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
               for machine in machines]
    found = {}
    for process in running:
        output, _ = process.communicate(timeout=120)
        for block in output.split("\n\n"):
            fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if fields.get("ActiveState") == "active":
                found[fields["Id"]] = int(fields["ActiveEnterTimestampMonotonic"]) / 1e6
    return found


def last_active(machines, pattern, names, seconds=60):
    """When the last of these units became active; waits for those that are not yet."""
    deadline = time.monotonic() + seconds
    while True:
        found = active_since(machines, pattern)
        missing = set(names) - set(found)
        if not missing:
            return max(found[name] for name in names)
        if time.monotonic() > deadline:
            raise BenchError(f"{len(missing)} of {len(names)} units did not become active in "
                             f"{seconds} s: {' '.join(sorted(missing)[:10])}")
        time.sleep(0.5)


def last_stopped(machines, names, since, seconds=60):
    """When the last stop job of these units ended; `since` is monotonic."""
    found = stopped(machines, names, since, seconds)
    return max(found[name] for name in names)


def stopped(machines, names, since, seconds=60):
    """{unit: when its last stop job ended}, by the journals; waits until they tell of all names.

    The journal's source time stamp is taken: it is systemd's, not when journald came to it.
    """
    offset = time.time() - time.monotonic()
    deadline = time.monotonic() + seconds
    while True:
        found = {}
        for machine in machines:
            found.update(_stops(machine, since, offset))
        missing = set(names) - set(found)
        if not missing:
            return found
        if time.monotonic() > deadline:
            raise BenchError(f"the journals tell no stop of {len(missing)} of {len(names)} units: "
                             f"{' '.join(sorted(missing)[:10])}")
        time.sleep(0.5)


def _stops(machine, since, offset):
    machine.run(["journalctl", "--sync"])
    output = machine.run(["journalctl", "-q", "-o", "json",
                          "--output-fields=UNIT,_SOURCE_REALTIME_TIMESTAMP",
                          f"--since=@{int(since + offset)}",
                          "_PID=1", "JOB_TYPE=stop", "JOB_RESULT=done"])
    found = {}
    for line in output.splitlines():
        entry = json.loads(line)
        moment = int(entry["_SOURCE_REALTIME_TIMESTAMP"]) / 1e6 - offset
        if moment >= since:
            found[entry["UNIT"]] = moment
    return found
