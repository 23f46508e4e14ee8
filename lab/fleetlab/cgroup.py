"""A cgroup per machine in every hierarchy of the host (v1, hybrid or v2).

They keep one machine's processes apart from another's, and let `down` find what a lab runs.
"""
import os

from .layout import CGROUP_BASE


def mounts():
    """The mount point of each cgroup hierarchy."""
    found = []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            fields = line.split()
            if fields[2] in ("cgroup", "cgroup2") and fields[1] not in found:
                found.append(fields[1])
    return found


def paths(*parts):
    return [os.path.join(mount, CGROUP_BASE, *parts) for mount in mounts()]


def create(*parts):
    """Creates fleet-lab/LAB/PART in every hierarchy and returns the directories."""
    made = paths(*parts)
    for path in made:
        os.makedirs(path, exist_ok=True)
        _inherit_cpuset(path, len(parts))
    return made


def _inherit_cpuset(path, depth):
    """A new v1 cpuset has no CPU and no memory node, and takes no process until it has."""
    chain = [path]
    for _ in range(depth):
        chain.insert(0, os.path.dirname(chain[0]))
    for directory in chain:
        for name in ("cpuset.cpus", "cpuset.mems"):
            own = os.path.join(directory, name)
            if not os.access(own, os.W_OK):
                return
            with open(own, encoding="ascii") as file:
                if file.read().strip():
                    continue
            parent = os.path.join(os.path.dirname(directory), name)
            try:
                with open(parent, encoding="ascii") as file, \
                        open(own, "w", encoding="ascii") as out:
                    out.write(file.read())
            except OSError:  # v2: an empty value means the parent's
                return


def pids(lab):
    """Every process below fleet-lab/LAB."""
    found = set()
    for top in paths(lab):
        for directory, _, files in os.walk(top):
            if "cgroup.procs" in files:
                found.update(_read_pids(os.path.join(directory, "cgroup.procs")))
    return found


def _read_pids(path):
    try:
        with open(path, encoding="ascii") as file:
            return [int(line) for line in file if int(line) > 0]
    except (OSError, ValueError):
        return []


def remove(*parts):
    """Removes the emptied cgroups, and fleet-lab itself with the last lab."""
    for top in paths(*parts):
        for directory, _, _ in os.walk(top, topdown=False):
            _rmdir(directory)
        _rmdir(os.path.join(top, *[".."] * len(parts)))


def _rmdir(path):
    try:
        os.rmdir(os.path.normpath(path))
    except OSError:
        pass  # in use by another lab, or gone


def join(directories):
    """Moves this process into cgroups."""
    for path in directories:
        try:
            with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write("0")
        except OSError:
            pass  # of use, not of need


def pids_in(lab, part):
    """Every process of one part of a lab."""
    return pids(os.path.join(lab, part))
