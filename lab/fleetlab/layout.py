"""Where everything of a lab is, computed from its name alone.

`down` must work without the state file, so each path, interface, cgroup and nftables
table follows from the lab's name (and the machine's number) by the rules of this file.
"""
import hashlib
import os
import re

from .errors import LabError

RUN_BASE = os.path.abspath(os.environ.get("FLEET_LAB_RUN") or "/run/fleet-lab")
DATA_BASE = os.path.abspath(os.environ.get("FLEET_LAB_DATA") or "/var/lib/fleet-lab")
CACHE_BASE = os.path.join(os.path.abspath(os.environ.get("FLEET_CACHE") or "/var/cache/fleet"),
                          "lab")
SOURCE_DIR = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
CGROUP_BASE = "fleet-lab"
MAX_MACHINES = 100
GATEWAY_HOST = 1  # the host itself: where its SSH and fleetctl come from
ETCD_HOSTS = (2, 3, 4)  # apart from the gateway, so that a machine can be cut from etcd alone
FIRST_HOST = 11  # machine m1
API_PORT = 49153
MARK_VARIABLE = "FLEET_LAB_MARK"  # in the environment of every host process of a lab

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_MACHINE = re.compile(r"m([1-9][0-9]{0,2})\Z")


class Layout:
    """Paths and names of one lab."""

    def __init__(self, name):
        if not _NAME.match(name) or len(name) > 32:
            raise LabError(f"bad lab name '{name}': 1 to 32 of a-z, 0-9 and '-' are allowed, "
                           "beginning and ending with a letter or digit", 2)
        self.name = name
        self.tag = hashlib.sha256(name.encode()).hexdigest()[:7]
        self.run = os.path.join(RUN_BASE, name)      # tmpfs: state, machines' disks, sockets
        self.data = os.path.join(DATA_BASE, name)    # real disk: etcd's data; also the lock
        self.state_file = os.path.join(self.run, "lab.json")
        self.bridge = f"fl-{self.tag}"
        self.table = f"fl_{self.tag}"
        self.mark = f"{MARK_VARIABLE}={RUN_BASE}:{name}"
        self.ssh_key = os.path.join(self.run, "ssh", "id_ed25519")
        self.known_hosts = os.path.join(self.run, "ssh", "known_hosts")
        self.agent_socket = os.path.join(self.run, "ssh", "agent.sock")
        if len(self.agent_socket) > 100:
            raise LabError(f"{self.agent_socket}: too long for a socket; "
                           "choose a shorter FLEET_LAB_RUN", 2)

    def path(self, *parts):
        return os.path.join(self.run, *parts)

    def machine(self, number):
        return MachineLayout(self, number)

    def machine_named(self, name):
        match = _MACHINE.match(name)
        if not match:
            raise LabError(f"bad machine name '{name}': machines are m1, m2, …", 2)
        return MachineLayout(self, int(match.group(1)))


class MachineLayout:
    """Paths and names of one machine of a lab."""

    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.name = f"m{number}"
        self.dir = lab.path(self.name)
        self.root = os.path.join(self.dir, "root")        # where the overlay is mounted
        self.upper = os.path.join(self.dir, "upper")      # the machine's disk
        self.work = os.path.join(self.dir, "work")
        self.storage = os.path.join(self.dir, "storage")  # of container engines
        self.console = os.path.join(self.dir, "console.log")
        self.pid_file = os.path.join(self.dir, "supervisor.pid")
        self.exit_file = os.path.join(self.dir, "exit")
        # systemd-nspawn calls the host's end "vb-" + this; an interface name has 15 characters.
        self.nspawn_name = f"{lab.tag}m{number}"
        self.veth = f"vb-{self.nspawn_name}"
        self.tap = f"vd-{self.nspawn_name}"  # in its place on the bridge, while it is delayed
        self.delay_pid = os.path.join(self.dir, "delay.pid")
        self.delay_log = os.path.join(self.dir, "delay.log")

    def machine_id(self):
        """The same at every boot, another for each lab and machine."""
        text = f"fleet-lab/{self.lab.name}/{self.name}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def ip(self, subnet):
        return address(subnet, FIRST_HOST - 1 + self.number)


def address(subnet, host):
    """The address of a host number in a subnet written 10.x.y.0/24."""
    return subnet.rsplit(".", 1)[0] + f".{host}"
