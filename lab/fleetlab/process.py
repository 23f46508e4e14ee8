"""Processes: run a tool, start one that outlives us, find and end those of a lab."""
import os
import signal
import subprocess
import sys
import threading
import time

from . import cgroup
from .errors import LabError, TimeOut

CLEAN_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
             "HOME": "/root", "LANG": "C.UTF-8"}

# Joins the cgroups, notes its pid, then becomes the command: so `down` finds the command even
# when the lab's own process is killed between starting it and writing anything down.
_WRAPPER = ('pid_file=$1 cgroups=$2; shift 2; '
            'for c in $cgroups; do echo 0 > "$c/cgroup.procs"; done; '
            'echo $$ > "$pid_file"; exec "$@"')


def say(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(argv, check=True, **options):
    """Runs a tool to its end. A failure is a LabError with what the tool said."""
    try:
        done = subprocess.run(argv, stdin=None if "input" in options else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              **options)
    except FileNotFoundError as error:
        raise LabError(f"{argv[0]} is not installed") from error
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"'{' '.join(argv)}' failed ({done.returncode}): {said}")
    return done


def spawn(layout, part, argv, pid_file, log, env=None):
    """Starts a process that outlives this one: own session, own cgroup, nothing inherited.

    What it returns tells for sure whether the process has ended. pid_of() finds none yet until
    the file is written, nor while the process becomes the command.
    """
    groups = " ".join(cgroup.create(layout.name, part))
    mark_name, mark_value = layout.mark.split("=", 1)
    if os.path.exists(pid_file):
        os.unlink(pid_file)
    with open(log, "ab") as out:
        return subprocess.Popen(["/bin/sh", "-c", _WRAPPER, "sh", pid_file, groups, *argv],
                                stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/",
                                start_new_session=True, close_fds=True,
                                env={**CLEAN_ENV, **(env or {}), mark_name: mark_value})


def pid_of(layout, pid_file):
    """The living process of this lab that the file names, or None (a pid may be reused)."""
    try:
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
    except (OSError, ValueError):
        return None
    return pid if _is_marked(pid, layout.mark) else None


def _is_marked(pid, mark):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark.encode() in file.read().split(b"\0")
    except OSError:
        return False


def status_field(pid, field):
    """A line of /proc/PID/status, or None."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(field + ":"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def has_ended(pid):
    """Whether nothing but its exit status is left of a process: no socket, no lock on a file. Its
    environment, by which pid_of() knows it, goes before these."""
    state = status_field(pid, "State")
    return state is None or (state.startswith("Z") and status_field(pid, "Threads") == "1")


def all_pids():
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except FileNotFoundError:  # no such process, or a kernel without this file
        if not os.path.exists(f"/proc/{pid}"):
            return []
        return [other for other in all_pids() if status_field(other, "PPid") == str(pid)]


def of_lab(layout):
    """Every process of a lab, by its cgroups and by the mark in its environment."""
    found = set(cgroup.pids(layout.name))
    found.update(pid for pid in all_pids() if _is_marked(pid, layout.mark))
    found.discard(os.getpid())
    return {pid for pid in found if not (status_field(pid, "State") or "Z").startswith("Z")}


def kill_all(layout):
    """SIGKILLs every process of a lab and returns when none is left."""
    def none_left():
        left = of_lab(layout)
        for pid in left:
            kill(pid, signal.SIGKILL)
        return not left
    wait_until(f"the end of the processes of lab '{layout.name}'", none_left, 60)


def kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


given_up = []  # not empty: threads (parallel.py) stop waiting


def wait_until(what, condition, seconds, interval=0.02):
    """Polls until the condition holds and returns its value; TimeOut after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        if given_up and threading.current_thread() is not threading.main_thread():
            raise LabError("given up")
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeOut(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)
