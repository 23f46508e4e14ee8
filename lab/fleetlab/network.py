"""The lab's private bridge, its subnet, and what is wrong with a machine's network: partitions
(packets dropped, links left up), loss, delay, low rate."""
import fcntl
import hashlib
import json
import os
import signal
import zlib

from . import layout as names
from . import process
from .errors import LabError
from .process import run, wait_until

_NETWORK = "10.213"
_DELAY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay")


def create_bridge(layout):
    """Makes the bridge on a free subnet and returns the subnet.

    The kernel is the register of subnets: one is taken when an interface has an address in it.
    The lock makes looking and taking one step.
    """
    os.makedirs(names.DATA_BASE, exist_ok=True)
    lock = os.open(names.DATA_BASE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subnet = _free_subnet(layout.name)
        # An address that is set stays; otherwise the bridge takes the lowest of its ports', and a
        # port that goes with its machine changes it for all others.
        address = "02:" + hashlib.sha256(layout.bridge.encode()).digest()[:5].hex(":")
        batch = [f"link add {layout.bridge} address {address} type bridge stp_state 0 forward_delay 0 "
                 "mcast_snooping 0"]
        batch += [f"addr add {names.address(subnet, host)}/24 dev {layout.bridge}"
                  for host in (names.GATEWAY_HOST, *names.ETCD_HOSTS)]
        batch.append(f"link set {layout.bridge} up")
        run(["ip", "-batch", "-"], input="\n".join(batch) + "\n")
        return subnet
    finally:
        os.close(lock)


def _free_subnet(name):
    taken = set()
    for link in json.loads(run(["ip", "-j", "-4", "addr"]).stdout or "[]"):
        for address in link.get("addr_info", []):
            if address.get("local", "").startswith(_NETWORK + "."):
                taken.add(int(address["local"].split(".")[2]))
    for route in json.loads(run(["ip", "-j", "-4", "route"]).stdout or "[]"):
        if route.get("dst", "").startswith(_NETWORK + "."):
            taken.add(int(route["dst"].split(".")[2]))
    first = zlib.crc32(name.encode())
    for step in range(254):
        number = 1 + (first + step) % 254
        if number not in taken:
            return f"{_NETWORK}.{number}.0/24"
    raise LabError(f"all subnets of {_NETWORK}.0.0/16 are in use; `lab list` shows the labs")


def links():
    return os.listdir("/sys/class/net")


def is_up(layout):
    return layout.bridge in links()


def delete_link(name):
    run(["ip", "link", "del", name], check=False)


def cut_link(name):
    """Takes the host's end of a machine's cable out, so that no goodbye gets through."""
    run(["ip", "link", "set", name, "down"], check=False)


def delete_all(layout):
    """Removes every interface and rule of the lab, by their names."""
    machines = (f"vb-{layout.tag}m", f"vd-{layout.tag}m")
    for link in links():
        if link.startswith(machines) or link == layout.bridge:
            delete_link(link)
    run(["nft", "delete", "table", "bridge", layout.table], check=False)


def apply_rules(layout, state):
    """Makes the rules as the state says. Partitions: {machine: ["*"] or a list of peers ("etcd",
    "m2")}, each as it is or ending in ":in" or ":out". Impairments: {machine: {"loss": 30}}.

    The rules stand on the host, beside the machine: nothing inside can tell a dropped packet
    from a cut network. They hold across a reboot of the machine.
    """
    rules = []
    for name, peers in sorted(state["partitions"].items()):
        for peer in peers:
            peer, _, way = peer.partition(":")
            rules += _dropping(layout, state["subnet"], layout.machine_named(name), peer, way, "")
    for name, how in sorted(state.get("impairments", {}).items()):
        if "loss" in how:
            rules += _dropping(layout, state["subnet"], layout.machine_named(name), "*", "",
                               f"numgen random mod 100 < {how['loss']} ")
    table = f"bridge {layout.table}"
    script = f"add table {table}\ndelete table {table}\n"
    if rules:
        script += f"add table {table}\n"
        script += f"add chain {table} in {{ type filter hook prerouting priority -300; }}\n"
        script += f"add chain {table} out {{ type filter hook postrouting priority 300; }}\n"
        script += "".join(f"add rule {table} {chain} {rule}\n" for chain, rule in rules)
    run(["nft", "-f", "-"], input=script)


def _dropping(layout, subnet, machine, peer, way, condition):
    """Rules that drop what the machine sends ("out") or gets ("in"), or both ("")."""
    where = "" if peer == "*" else _addresses(layout, subnet, peer)
    port = f'{{ "{machine.veth}", "{machine.tap}" }}'
    rules = []
    if way != "in":
        rules.append(("in", f"iifname {port} {where and f'ip daddr {where} '}{condition}drop"))
    if way != "out":
        rules.append(("out", f"oifname {port} {where and f'ip saddr {where} '}{condition}drop"))
    return rules


def _addresses(layout, subnet, peer):
    hosts = [names.address(subnet, host) for host in names.ETCD_HOSTS] if peer == "etcd" \
        else [layout.machine_named(peer).ip(subnet)]
    return "{ " + ", ".join(hosts) + " }"


def limit_rate(veth, leader, kbits):
    """Lets this much through the machine's cable, each way; None: all. The machine's end is in
    its own network namespace; both limits go with the cable."""
    for prefix, device in (([], veth), (["nsenter", "-t", str(leader), "-n"], "host0")):
        tc = [*prefix, "tc", "qdisc"]
        if kbits is None:
            run([*tc, "del", "dev", device, "root"], check=False)
        else:
            run([*tc, "replace", "dev", device, "root", "tbf", "rate", f"{kbits}kbit",
                 "burst", "16kb", "latency", "500ms"])


def delay(layout, machine, milliseconds):
    """Delays each of the machine's packets, both ways. It ends with the cable."""
    undelay(layout, machine)
    process.spawn(layout, "host", [_DELAY, machine.veth, machine.tap, layout.bridge,
                                   str(milliseconds)], machine.delay_pid, machine.delay_log)
    wait_until(f"the delay of {machine.name} ({machine.delay_log})",
               lambda: _is_port(machine.tap), 10)


def undelay(layout, machine):
    pid = process.pid_of(layout, machine.delay_pid)
    if pid is None:
        return
    process.kill(pid, signal.SIGTERM)
    wait_until(f"the end of the delay of {machine.name}", lambda: machine.tap not in links(), 10)
    run(["ip", "link", "set", machine.veth, "master", layout.bridge], check=False)


def _is_port(link):
    return os.path.exists(f"/sys/class/net/{link}/brport")
