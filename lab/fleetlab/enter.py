"""Running a command inside a machine. Tests do this all the time: this file imports little."""
import os

from . import cgroup, process
from .errors import LabError

NOT_RUNNING = 125


def leader(layout, machine):
    """The machine's own PID 1, as the host numbers it, or None while it is not running."""
    supervisor = process.pid_of(layout, machine.pid_file)
    for nspawn in process.children(supervisor) if supervisor else []:
        for child in process.children(nspawn):
            if (process.status_field(child, "NSpid") or "").endswith("\t1") \
                    and process.status_field(child, "Name") == "systemd":
                return child
    return None


def nsenter(pid):
    # -r: where the lab itself runs in a chroot, the mount namespace's own root is still the one
    # outside of that. setpriv: the command ends with us; otherwise a test's time-out would leave
    # it running.
    return ["nsenter", "-t", str(pid), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "setpriv",
            "--pdeathsig", "KILL", "--"]


def environment():
    return {**process.CLEAN_ENV, "TERM": os.environ.get("TERM", "dumb"), "SHELL": "/bin/bash",
            "USER": "root", "LOGNAME": "root"}


def require_leader(layout, machine):
    pid = leader(layout, machine)
    if pid is None:
        if not os.path.isdir(machine.dir):
            raise LabError(f"there is no machine {machine.name} in a lab '{layout.name}'",
                           NOT_RUNNING)
        raise LabError(f"machine {machine.name} is not running "
                       f"(`lab boot --name {layout.name} {machine.name}`)", NOT_RUNNING)
    return pid


def execute(layout, machine, command):
    """Becomes the command, as root inside the machine."""
    pid = require_leader(layout, machine)
    cgroup.join(cgroup.paths(layout.name, machine.name))
    argv = [*nsenter(pid), *(command or ["/bin/bash", "-l"])]
    os.execvpe(argv[0], argv, environment())
