"""SSH: the lab's key and agent, the machines' host keys and the known_hosts file."""
import os
import socket

from . import process
from .process import run, wait_until


def create(layout, state):
    """Makes all keys before the first boot, so that each host key is known from the start."""
    os.makedirs(layout.path("ssh"), mode=0o700, exist_ok=True)
    _generate(layout.ssh_key, f"fleet-lab-{layout.name}")
    lines = []
    for number in range(1, state["machines"] + 1):
        machine = layout.machine(number)
        key = layout.path("ssh", f"{machine.name}.host_key")
        _generate(key, machine.name)
        with open(key + ".pub", encoding="utf-8") as file:
            kind, public = file.read().split()[:2]
        lines.append(f"{machine.ip(state['subnet'])} {kind} {public}\n")
    with open(layout.known_hosts, "w", encoding="utf-8") as file:
        file.writelines(lines)


def _generate(path, comment):
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path])


def _takes_connections(path):
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except OSError:
            return False
    return True


def start_agent(layout):
    """An agent that holds the lab's key: what `fleetctl ssh` uses through SSH_AUTH_SOCK."""
    process.spawn(layout, "host", ["ssh-agent", "-D", "-a", layout.agent_socket],
                  layout.path("ssh", "agent.pid"), layout.path("ssh", "agent.log"))
    wait_until("the SSH agent", lambda: _takes_connections(layout.agent_socket), 10)
    run(["ssh-add", "-q", layout.ssh_key],
        env={**process.CLEAN_ENV, "SSH_AUTH_SOCK": layout.agent_socket})


def ssh_command(layout, state, machine, user, command):
    return ["ssh", "-F", "none", "-i", layout.ssh_key, "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={layout.known_hosts}", "-o", "StrictHostKeyChecking=yes",
            "-o", "ConnectTimeout=10", f"{user}@{machine.ip(state['subnet'])}", *command]
