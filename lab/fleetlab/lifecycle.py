"""The life of a lab and its machines: up, down, crash, boot, reboot."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from . import (certificates, cgroup, containers, enter, etcd, keys, machine, network, process,
               rootfs, state)
from . import layout as names
from .errors import LabError
from .parallel import in_parallel
from .process import run, say, wait_until

# Tool: the Debian package that has it.
_TOOLS = {
    "systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "ip": "iproute2",
    "nft": "nftables", "nsenter": "util-linux", "setpriv": "util-linux", "ssh": "openssh-client",
    "ssh-keygen": "openssh-client", "ssh-agent": "openssh-client",
}
_MACHINE_ID = "/etc/machine-id"
_INOTIFY = "/proc/sys/fs/inotify/max_user_instances"
_INOTIFY_PER_MACHINE = 64


def up(layout, wanted):
    """Brings a lab up. `wanted` is the state file's content as the command line gave it."""
    began = time.monotonic()
    _check_host(wanted)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that it cleans up, as ^C does
    with state.locked(layout):
        old = state.load(layout)
        if old and old.get("phase") == "up":
            raise LabError(f"lab '{layout.name}' is already up "
                           f"(`lab status --name {layout.name}`; `lab down` ends it)")
        _clear(layout)  # what a killed `up`, or the host's own reboot, has left
        try:
            current = _build(layout, wanted, began)
        except BaseException as error:
            try:
                _clear(layout)
            except LabError as remains:  # which must not hide why
                raise LabError(f"{error}; not all of it could be removed: {remains}") from error
            _rmdir(layout.data)
            raise
        current["phase"] = "up"
        state.save(layout, current)
    if current["fleet"]:
        _wait_for_fleet(layout, current)
        _say_after(began, "every machine is listed by list-machines")
    _say_after(began, f"lab '{layout.name}' is up; use it with: "
               f"eval \"$({_program()} env --name {layout.name})\"")


def _say_after(began, text):
    say(f"{time.monotonic() - began:5.1f} s  {text}")


def _program():
    return os.path.relpath(os.path.join(names.SOURCE_DIR, "lab", "lab"))


def _check_host(wanted):
    if os.geteuid() != 0:
        raise LabError("containers, bridges and mounts need root: run the lab as root")
    tools = dict(_TOOLS)
    if wanted["etcd"]:
        tools["etcd"] = "etcd-server"
    if wanted["etcd_tls"] or wanted["etcd_token_ttl"]:
        tools["openssl"] = "openssl"
    if wanted["etcd_auth"]:
        tools["etcdctl"] = "etcd-client"
    missing = sorted({package for tool, package in tools.items()
                      if not shutil.which(tool, path=process.CLEAN_ENV["PATH"])})
    if missing:
        raise LabError("this host lacks Debian packages that the lab needs: install them with "
                       f"`apt-get install --no-install-recommends {' '.join(missing)}`")
    if wanted["fleet"]:
        _check_programs(wanted["bin"], wanted["packaging"])


def _check_programs(directory, packaging):
    for program in ("fleetd", "fleetctl"):
        if not os.access(os.path.join(directory, program), os.X_OK):
            raise LabError(f"{directory}/{program} is not there: build it, name another place "
                           "with --bin DIR, or bring machines up without it (--no-fleet)")
    for unit in ("fleet.service", "fleet.socket"):
        path = os.path.join(packaging, unit)
        if not os.path.exists(path):
            raise LabError(f"{path} is not there (--no-fleet does without it)")


def _build(layout, wanted, began):
    _allow_inotify(wanted["machines"])
    _identify_host()
    current = {"name": layout.name, "phase": "starting", "partitions": {},
               "root": rootfs.ensure(wanted["packages"]
                                     + containers.packages(wanted["containers"])), **wanted}
    os.makedirs(layout.run)
    run(["mount", "-t", "tmpfs", "-o", f"size={wanted['size']},mode=0755", "fleet-lab",
         layout.run])
    current["subnet"] = network.create_bridge(layout)
    state.save(layout, current)
    keys.create(layout, current)
    certificates.create(layout, current)
    machines = all_machines(layout, current)
    for each in machines:
        machine.prepare(layout, current, each)
    members = etcd.members(layout, current)
    for member in members:
        member.start()
    keys.start_agent(layout)
    if current["etcd_auth"]:  # before the first fleetd comes
        etcd.start(layout, current, members)
        etcd.demand_login(layout, current)
    _say_after(began, f"booting {len(machines)} machines on {current['subnet']}")
    in_parallel(machines, lambda each: machine.start(layout, current, each))
    in_parallel(machines, lambda each: machine.wait_ready(layout, current, each))
    _say_after(began, "every machine has booted and answers SSH")
    if members:
        etcd.start(layout, current, members)
        _say_after(began, f"etcd serves at {','.join(m.endpoint for m in members)}")
    return current


def _allow_inotify(machines):
    """All machines share root's inotify instances, and 128 are too few for a dozen systemds."""
    with open(_INOTIFY, encoding="ascii") as file:
        now = int(file.read())
    need = max(1024, machines * _INOTIFY_PER_MACHINE)
    if now < need:
        with open(_INOTIFY, "w", encoding="ascii") as file:
            file.write(str(need))


def _identify_host():
    """systemd-nspawn makes the addresses of the machines' cables from the host's machine-id, which
    a root file system that nobody has booted yet lacks."""
    try:
        with open(_MACHINE_ID, encoding="ascii") as file:
            if re.fullmatch("[0-9a-f]{32}", file.read().strip()):
                return
    except FileNotFoundError:
        pass
    say(f"this host has no {_MACHINE_ID}: making one")
    run(["systemd-machine-id-setup"])


def all_machines(layout, current):
    return [layout.machine(number) for number in range(1, current["machines"] + 1)]


def _wait_for_fleet(layout, current):
    fleetctl = os.path.join(current["bin"], "fleetctl")
    for each in all_machines(layout, current):
        endpoint = f"http://{each.ip(current['subnet'])}:{names.API_PORT}"
        try:
            wait_until(f"{each.name} to list {current['machines']} machines",
                       lambda endpoint=endpoint: _listed(fleetctl, endpoint)
                       >= current["machines"], current["fleet_timeout"], 0.1)
        except LabError as error:
            raise LabError(f"{error}; the machines stay up for a look at them\n"
                           + _diagnosis(layout, current)) from error


def _listed(fleetctl, endpoint):
    try:
        said = subprocess.run([fleetctl, "--endpoint", endpoint, "list-machines", "--no-legend",
                               "--full", "--fields=machine"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=10, env=process.CLEAN_ENV)
    except subprocess.TimeoutExpired:
        return 0
    return len(said.stdout.split()) if said.returncode == 0 else 0


def _diagnosis(layout, current):
    """Why fleet is not there: libraries that the machines lack, and each machine's journal."""
    parts = []
    for each in all_machines(layout, current):
        pid = enter.leader(layout, each)
        if pid is None:
            parts.append(f"{each.name} is not running")
            continue
        script = ("ldd /usr/bin/fleetd /usr/bin/fleetctl | grep 'not found'; "
                  "journalctl --no-pager -n 15 -u fleet.service -u fleet.socket")
        said = run([*enter.nsenter(pid), "sh", "-c", script], check=False,
                   env=enter.environment())
        parts.append(f"--- {each.name} ---\n{said.stdout.strip()}")
    return "\n".join(parts)


def down(layout):
    """Ends a lab, whatever is left of it. Without one, nothing happens."""
    rootfs.clean()
    with state.locked(layout):
        _clear(layout)
        _rmdir(layout.data)  # the lock itself: whoever waits for it sees that it is gone
    for base in (names.RUN_BASE, names.DATA_BASE):
        _rmdir(base)


def _clear(layout):
    """Removes all that bears the lab's name. Works without the state file."""
    process.kill_all(layout)
    network.delete_all(layout)
    for number in _numbers_on_disk(layout):
        machine.remove_remains(layout.machine(number))
    machine.remove_nspawn_directories(layout)
    for mount in reversed(_mounts_below(layout.run)):
        run(["umount", "--lazy", mount])
    shutil.rmtree(layout.run, ignore_errors=True)
    cgroup.remove(layout.name)
    for entry in os.listdir(layout.data):
        shutil.rmtree(os.path.join(layout.data, entry), ignore_errors=True)


def _numbers_on_disk(layout):
    if not os.path.isdir(layout.run):
        return []
    return [int(name[1:]) for name in os.listdir(layout.run)
            if name[0] == "m" and name[1:].isdigit()]


def _mounts_below(path):
    found = []
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            mount = line.split()[1].encode().decode("unicode_escape")
            if mount == path or mount.startswith(path + "/"):
                found.append(mount)
    return found


def _rmdir(path):
    try:
        os.rmdir(path)
    except OSError:
        pass  # other labs are there


def crash(layout, name):
    state.require(layout)
    with state.locked(layout):
        each = state.machine(layout, state.require(layout), name)
        if not machine.is_powered(layout, each):
            raise LabError(f"{name} is not running", enter.NOT_RUNNING)
        machine.crash(layout, each)


def boot(layout, name, wipe=False):
    state.require(layout)
    with state.locked(layout):
        current = state.require(layout)
        each = state.machine(layout, current, name)
        if machine.is_powered(layout, each):
            raise LabError(f"{name} is running already")
        machine.remove_remains(each)
        if wipe:
            machine.wipe(layout, current, each)
        machine.start(layout, current, each)
    machine.wait_ready(layout, current, each)


def reboot(layout, name):
    """A clean reboot; returns once the machine is up again."""
    current = state.require(layout)
    each = state.machine(layout, current, name)
    before = enter.require_leader(layout, each)
    _ask(before, "reboot")
    wait_until(f"the reboot of {name}",
               lambda: enter.leader(layout, each) not in (None, before), machine.BOOT_SECONDS * 2)
    machine.wait_ready(layout, current, each)


def poweroff(layout, name):
    """A clean end of a machine; returns once it is off."""
    current = state.require(layout)
    each = state.machine(layout, current, name)
    _ask(enter.require_leader(layout, each), "poweroff")
    machine.wait_off(layout, each, machine.BOOT_SECONDS * 2)
    machine.remove_remains(each)


def _ask(leader, verb):
    run([*enter.nsenter(leader), "systemctl", verb], env=enter.environment())


def partition(layout, name, peers):
    """Cuts machines ("m1", "m1,m2", "all") off from peers ("etcd", a machine; none named: from
    everybody), all at the same moment."""
    _change_partitions(layout, name, set(peers or ["*"]), set())


def heal(layout, name, peers):
    _change_partitions(layout, name, set(), set(peers) or None)


def _change_partitions(layout, name, add, remove):
    state.require(layout)
    with state.locked(layout):
        current = state.require(layout)
        machines = name.split(",") if name != "all" else [
            m.name for m in all_machines(layout, current)]
        for each in machines:
            state.machine(layout, current, each)
            now = set(current["partitions"].pop(each, []))
            now = (now | add) - (now if remove is None else remove)
            if now:
                current["partitions"][each] = sorted(now)
        for peer in {peer.partition(":")[0] for peer in add} - {"*", "etcd"}:
            state.machine(layout, current, peer)
        network.apply_rules(layout, current)
        state.save(layout, current)


def impair(layout, name, loss=None, rate=None, delay=None):
    """Makes a machine's network bad: percent of packets lost, kbit/s, milliseconds for each
    packet; each way. What is not given is as good as new."""
    state.require(layout)
    with state.locked(layout):
        current = state.require(layout)
        each = state.machine(layout, current, name)
        impairments = current.setdefault("impairments", {})
        impairments.pop(name, None)
        if loss:
            impairments[name] = {"loss": loss}
        network.apply_rules(layout, current)
        state.save(layout, current)
        leader = enter.leader(layout, each)
        if leader is None and (rate or delay):
            raise LabError(f"{name} is not running", enter.NOT_RUNNING)
        if leader is not None:
            network.limit_rate(each.veth, leader, rate)
        network.undelay(layout, each)
        if delay:
            network.delay(layout, each, delay)


def etcd_verb(layout, action, numbers, kill=False):
    """Stops, starts, pauses or resumes members; all of them if none is named."""
    current = state.require(layout)
    everyone = etcd.members(layout, current)
    if not everyone:
        raise LabError(f"lab '{layout.name}' has no etcd")
    for number in numbers:
        if not 1 <= number <= len(everyone):
            raise LabError(f"there is no etcd member {number}: "
                           f"lab '{layout.name}' has {len(everyone)}", 2)
    chosen = [m for m in everyone if not numbers or m.number in numbers]
    if action == "stop":
        etcd.stop(chosen, 9 if kill else 15)
    elif action == "start":
        etcd.start(layout, current, chosen)
    else:
        getattr(etcd, action)(chosen)
