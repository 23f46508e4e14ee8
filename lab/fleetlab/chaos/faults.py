"""How each kind of fault is made, and healed.

A fault is a function that breaks something, waits, and heals it: it is noted before it breaks
anything and noted as healed only when all of it is.
"""
import time

from .. import etcd, lifecycle
from ..errors import LabError
from ..parallel import in_parallel
from .world import try_to

_KINDS = {}


def _makes(kind):
    def note(function):
        _KINDS[kind] = function
        return function
    return note


def make(world, step, wait):
    """Makes a fault of the plan; returns when it is healed. `wait(seconds)` ends early when the
    run does."""
    _KINDS[step.kind](world, step, wait)


def kinds():
    return tuple(_KINDS)


# --- power ---------------------------------------------------------------------------------------

def crash(world, name):
    lifecycle.crash(world.layout, name)
    world.note_power(name, "power loss")


def reboot(world, name):
    began = time.time()
    lifecycle.reboot(world.layout, name)
    world.note_outage(name, began)


def power_off(world, name):
    began = time.time()
    lifecycle.poweroff(world.layout, name)
    world.note_power(name, "shutdown")
    world.note_outage(name, began)


def boot(world, name, wipe=False):
    lifecycle.boot(world.layout, name, wipe)


@_makes("crash")
def _crash(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    crash(world, step.machine)
    wait(step.seconds)
    boot(world, step.machine)
    world.close_fault(fault)


@_makes("crash and emptied disk")
def _wipe(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    crash(world, step.machine)
    wait(step.seconds)
    world.keep_journal(step.machine)
    boot(world, step.machine, wipe=True)
    world.close_fault(fault)


@_makes("reboot")
def _reboot(world, step, _wait):
    fault = world.open_fault(step.kind, [step.machine])
    reboot(world, step.machine)
    world.close_fault(fault)


@_makes("power off")
def _power_off(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    power_off(world, step.machine)
    wait(step.seconds)
    boot(world, step.machine)
    world.close_fault(fault)


@_makes("all machines rebooted")
def _all_reboot(world, step, _wait):
    fault = world.open_fault(step.kind)
    in_parallel(world.machines, lambda name: reboot(world, name))
    world.close_fault(fault)


@_makes("all machines crashed")
def _all_crash(world, step, wait):
    fault = world.open_fault(step.kind)
    in_parallel(world.machines, lambda name: crash(world, name))
    wait(step.seconds)
    in_parallel(world.machines, lambda name: boot(world, name))
    world.close_fault(fault)


# --- network -------------------------------------------------------------------------------------

def _partition(world, step, wait, peers, detail=""):
    fault = world.open_fault(step.kind, [step.machine], detail)
    lifecycle.partition(world.layout, step.machine, peers)
    wait(step.seconds)
    lifecycle.heal(world.layout, step.machine, [])
    world.close_fault(fault)


@_makes("partition")
def _partition_all(world, step, wait):
    _partition(world, step, wait, [])


@_makes("partition from etcd")
def _partition_etcd(world, step, wait):
    _partition(world, step, wait, ["etcd"])


@_makes("partition from a machine")
def _partition_machine(world, step, wait):
    others = [name for name in world.machines if name != step.machine]
    peer = step.choose(others)
    _partition(world, step, wait, [peer], f"from {peer}")


@_makes("one-way partition")
def _one_way(world, step, wait):
    way = step.choose(("in", "out"))
    _partition(world, step, wait, [f"*:{way}"], f"nothing comes {way}")


@_makes("flapping network")
def _flap(world, step, wait):
    """Half of the time there is none, for half a TTL each."""
    half = world.ttl / 2
    fault = world.open_fault(step.kind, [step.machine], f"every {half:g} s")
    for _ in range(max(1, int(step.seconds / (2 * half)))):
        lifecycle.partition(world.layout, step.machine, [])
        wait(half)
        lifecycle.heal(world.layout, step.machine, [])
        wait(half)
    world.close_fault(fault)


def _impair(world, step, wait, **how):
    fault = world.open_fault(step.kind, [step.machine], str(how))
    lifecycle.impair(world.layout, step.machine, **how)
    wait(step.seconds)
    lifecycle.impair(world.layout, step.machine)
    world.close_fault(fault)


@_makes("packet loss")
def _loss(world, step, wait):
    _impair(world, step, wait, loss=30)


@_makes("delay")
def _delay(world, step, wait):
    _impair(world, step, wait, delay=step.choose((50, 200, 800)))


@_makes("low rate")
def _rate(world, step, wait):
    _impair(world, step, wait, rate=step.choose((64, 128, 512)))


# --- fleetd --------------------------------------------------------------------------------------

def signal_fleetd(world, name, number):
    world.run(name, "systemctl", "kill", "--kill-whom=main", f"--signal={number}",
              "fleet.service")


@_makes("fleetd killed")
def _kill(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    signal_fleetd(world, step.machine, "KILL")
    wait(step.seconds)
    _wait_fleetd(world, step.machine, wait)
    world.close_fault(fault)


@_makes("all fleetds killed")
def _kill_all(world, step, wait):
    fault = world.open_fault(step.kind)
    in_parallel(world.machines, lambda name: signal_fleetd(world, name, "KILL"))
    wait(step.seconds)
    for name in world.machines:
        _wait_fleetd(world, name, wait)
    world.close_fault(fault)


@_makes("fleetd paused")
def _pause(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    signal_fleetd(world, step.machine, "STOP")
    wait(step.seconds)
    signal_fleetd(world, step.machine, "CONT")
    _wait_fleetd(world, step.machine, wait)
    world.close_fault(fault)


@_makes("fleetd restarted")
def _restart(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    world.run(step.machine, "systemctl", "restart", "fleet.service", seconds=200)
    _wait_fleetd(world, step.machine, wait)
    world.close_fault(fault)


@_makes("fleetd stopped")
def _stop(world, step, wait):
    fault = world.open_fault(step.kind, [step.machine])
    began = time.time()
    world.run(step.machine, "systemctl", "stop", "fleet.service", "fleet.socket", seconds=200)
    world.note_outage(step.machine, began)
    wait(step.seconds)
    world.run(step.machine, "systemctl", "start", "fleet.socket", "fleet.service", seconds=200)
    world.close_fault(fault)


def _wait_fleetd(world, name, wait):
    """Until systemd says that it is there; it is not asked to start it."""
    for _ in range(100):
        if world.run(name, "systemctl", "is-active", "fleet.service")[1].strip() == "active":
            return
        wait(0.2)


@_makes("disk full")
def _disk_full(world, step, wait):
    """/run, where the unit directory is: a tmpfs of the machine's own."""
    fault = world.open_fault(step.kind, [step.machine], cuts=False)
    _, size = world.run(step.machine, "sh", "-c",
                        "findmnt -bno SIZE /run; "
                        "mount -o remount,size=$(findmnt -bno USED /run) /run")
    wait(step.seconds)
    world.run(step.machine, "mount", "-o", f"remount,size={size.split()[0]}", "/run")
    world.close_fault(fault)


@_makes("systemd re-executed")
def _reexec(world, step, _wait):
    """As an upgrade of systemd does: every connection to it ends."""
    fault = world.open_fault(step.kind, [step.machine], cuts=False)
    world.run(step.machine, "systemctl", "daemon-reexec")
    world.close_fault(fault)


# --- etcd ----------------------------------------------------------------------------------------

@_makes("etcd leader killed")
def _kill_leader(world, step, wait):
    members = world.members()
    chosen = [member for member in members if member.leads()][:1] or members[:1]
    fault = world.open_fault(step.kind, (), chosen[0].name)
    etcd.stop(chosen, 9)
    wait(step.seconds)
    etcd.start(world.layout, world.current, chosen)
    world.close_fault(fault)


@_makes("etcd quorum lost")
def _quorum(world, step, wait):
    members = world.members()
    spared = step.choose(members)
    chosen = [member for member in members if member.number != spared.number] or members
    fault = world.open_fault(step.kind, (), ",".join(member.name for member in chosen))
    etcd.stop(chosen, 9)
    wait(step.seconds)
    etcd.start(world.layout, world.current, chosen)
    world.close_fault(fault)


@_makes("etcd paused")
def _pause_etcd(world, step, wait):
    _pause_members(world, step, wait, world.members())


@_makes("etcd member paused")
def _pause_member(world, step, wait):
    _pause_members(world, step, wait, [step.choose(world.members())])


def _pause_members(world, step, wait, chosen):
    fault = world.open_fault(step.kind, (), ",".join(member.name for member in chosen))
    etcd.pause(chosen)
    wait(step.seconds)
    etcd.resume(chosen)
    world.close_fault(fault)


# --- the end -------------------------------------------------------------------------------------

def heal_everything(world):
    """Whatever is broken still, because a fault was not made as it should. Says what."""
    found = []
    for name in world.machines:
        if not world.is_on(name):
            found.append(f"{name} was off")
            boot(world, name)
        signal_fleetd(world, name, "CONT")
        try_to(lifecycle.impair, world.layout, name)
    try_to(lifecycle.heal, world.layout, "all", [])
    etcd.resume(world.members())
    try:
        etcd.start(world.layout, world.current, world.members())
    except LabError as error:
        found.append(str(error))
    return found
