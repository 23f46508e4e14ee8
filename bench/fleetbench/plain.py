"""The lower bound: systemd alone starts and stops as many separate unit files.

The texts lie there before the clock starts. Then each machine links its share and starts it with
one `systemctl start`, all machines at once. The shells that do it wait beforehand: the time that
the lab needs to enter a machine is not counted.
"""
import os
import subprocess
import time

from . import systemd, units
from .errors import BenchError

FILES = "/run/fleet-bench"
_START = (f"echo ready; read go; ln -s {FILES}/*.service {systemd.LINKS}/ && "
          'exec systemctl start "$@"')
_STOP = 'echo ready; read go; exec systemctl stop "$@"'
_CLEAN = (f"rm -rf {FILES}; cd {systemd.LINKS} && rm -f {units.PLAIN}@*.service; "
          f"systemctl daemon-reload; systemctl reset-failed '{units.PLAIN}@*' 2>/dev/null; true")


def start(lab, count):
    """Seconds until the last unit is active, and until the last systemctl has returned."""
    names = units.names(units.PLAIN, count)
    shares = units.share(names, lab.machines)
    for machine, own in shares.items():
        directory = machine.path(FILES)
        os.makedirs(directory)
        for name in own:
            with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                file.write(units.TEXT)
    began, returned = _at_once(shares, _START)
    active = systemd.last_active(lab.machines, f"{units.PLAIN}@*", names)
    return active - began, returned - began


def stop(lab, count):
    """Seconds until the last unit has stopped, and until the last systemctl has returned."""
    names = units.names(units.PLAIN, count)
    began, returned = _at_once(units.share(names, lab.machines), _STOP)
    stopped = systemd.last_stopped(lab.machines, names, began)
    lab.on_each({machine: ["sh", "-c", _CLEAN] for machine in lab.machines})
    return stopped - began, returned - began


def _at_once(shares, script):
    """Runs the script on all machines, let go at one moment: (that moment, the end of the last)."""
    shells = [machine.open(["sh", "-c", script, "sh", *own], stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE) for machine, own in shares.items()]
    for shell in shells:
        if shell.stdout.readline() != "ready\n":
            raise BenchError("a shell in a machine did not start")
    began = time.monotonic()
    for shell in shells:
        shell.stdin.write("go\n")
        shell.stdin.flush()
    statuses = [shell.wait(timeout=300) for shell in shells]
    returned = time.monotonic()
    for shell in shells:
        shell.stdin.close()
        shell.stdout.close()
    if any(statuses):
        raise BenchError(f"systemctl failed on a machine: {statuses}")
    return began, returned
