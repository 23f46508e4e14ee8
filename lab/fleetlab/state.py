"""The lab's state file and its lock.

One JSON file, replaced atomically. It holds what was asked for (machines, subnet, options,
partitions); what runs is looked up in the kernel each time, so it cannot be out of date.
"""
import fcntl
import json
import os
from contextlib import contextmanager

from . import layout as names
from . import network
from .errors import LabError
from .process import say


@contextmanager
def locked(layout):
    """Holds the lab's lock: the directory of its data, which `down` removes while holding it."""
    while True:
        os.makedirs(layout.data, exist_ok=True)
        try:
            lock = os.open(layout.data, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            _wait_for(lock, layout)
            if _is_same(lock, layout.data):
                yield
                return
        finally:
            os.close(lock)


def _wait_for(lock, layout):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(f"waiting for another command on lab '{layout.name}'")
        fcntl.flock(lock, fcntl.LOCK_EX)


def _is_same(lock, path):
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    here = os.fstat(lock)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def save(layout, state):
    temporary = layout.state_file + ".tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    os.rename(temporary, layout.state_file)


def load(layout):
    """The state of a lab that is up or coming up, or None."""
    try:
        with open(layout.state_file, encoding="utf-8") as file:
            state = json.load(file)
    except (OSError, ValueError):
        return None
    return state if network.is_up(layout) else None


def require(layout):
    state = load(layout)
    if state is None:
        raise LabError(f"lab '{layout.name}' is not up (`lab up --name {layout.name}`; "
                       "`lab list` shows those that are)")
    return state


def machine(layout, state, name):
    found = layout.machine_named(name)
    if found.number > state["machines"]:
        raise LabError(f"lab '{layout.name}' has no machine {name}: "
                       f"it has m1 to m{state['machines']}", 2)
    return found


def labs():
    """The names of all labs that have anything on this host."""
    found = set()
    for base in (names.DATA_BASE, names.RUN_BASE):
        if os.path.isdir(base):
            found.update(name for name in os.listdir(base)
                         if os.path.isdir(os.path.join(base, name)))
    return sorted(found)
