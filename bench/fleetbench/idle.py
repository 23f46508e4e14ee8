"""idle: what fleetd uses, and asks of etcd, while units run and nothing happens."""
import tempfile
import time

from . import etcd, progress, systemd, units
from .errors import BenchError
from .lab import Lab, describe

SETTLE_SECONDS = 5  # etcd's counters have to stand still so long before the clock starts


def run(options):
    runs = []
    with tempfile.TemporaryDirectory() as directory, Lab(options, options.ttl) as lab:
        describe(lab)
        units.write_template(directory)
        names = units.names(units.FLEET, options.units)
        lab.fleetctl("start", *names, cwd=directory)
        systemd.last_active(lab.machines, f"{units.FLEET}@*", names)
        for number in range(1, options.runs + 1):
            _settle(_endpoints(lab))
            runs.append(_look(lab, options.seconds))
            progress.say(f"idle, run {number} of {options.runs}: "
                         + ", ".join(f"{k} {v:.4g}" for k, v in runs[-1].items()))
        still = systemd.active_since(lab.machines, f"{units.FLEET}@*")
        if set(still) != set(names):
            raise BenchError(f"{len(still)} of {len(names)} units are active in the end")
    return runs


def _endpoints(lab):
    return [member["endpoint"] for member in lab.members]


def _settle(endpoints):
    """Waits until what the start has left to do is done; a cluster that never rests is told of."""
    last, since = _store(endpoints), time.monotonic()
    deadline = since + 60
    while time.monotonic() - since < SETTLE_SECONDS:
        if time.monotonic() > deadline:
            progress.say("etcd's counters did not stand still for a minute; measuring anyway")
            return
        time.sleep(0.5)
        now = _store(endpoints)
        if now != last:
            last, since = now, time.monotonic()


def _store(endpoints):
    found = etcd.counters(endpoints)
    return found["writes"], found["range_reads"]


def _look(lab, seconds):
    pids = {machine: machine.fleetd() for machine in lab.machines}
    leader = etcd.engine_leader(lab.members[0]["endpoint"])  # a range read: before the counters
    store = etcd.counters(_endpoints(lab))
    began = time.monotonic()
    before = {machine: cpu_seconds(pid) for machine, pid in pids.items()}
    systemd_before = {machine: cpu_seconds(machine.pid) for machine in lab.machines}
    time.sleep(seconds)
    spent = time.monotonic() - began
    cpu = {machine: 100 * (cpu_seconds(pid) - before[machine]) / spent
           for machine, pid in pids.items()}
    systemd_cpu = [100 * (cpu_seconds(machine.pid) - systemd_before[machine]) / spent
                   for machine in lab.machines]
    after = etcd.counters(_endpoints(lab))
    if {machine: machine.fleetd() for machine in lab.machines} != pids:
        raise BenchError("a fleetd was restarted meanwhile")
    memory = [resident_mib(pid) for pid in pids.values()]
    return {
        "cpu_percent_max": max(cpu.values()),
        "cpu_percent_leader": next(value for m, value in cpu.items() if m.id == leader),
        "systemd_cpu_percent_max": max(systemd_cpu),
        "rss_mib_max": max(each["VmRSS"] for each in memory),
        "rss_anonymous_mib_max": max(each["RssAnon"] for each in memory),
        "rss_file_mib_max": max(each["RssFile"] for each in memory),
        "store_writes": after["writes"] - store["writes"],
        "store_range_reads": after["range_reads"] - store["range_reads"],
        "lease_renewals": after["renewals"] - store["renewals"],
    }


def cpu_seconds(pid):
    """A process's CPU time, by its own CPU clock: /proc/PID/stat counts in steps of 10 ms only."""
    scheduler_clock = 2
    return time.clock_gettime((~pid << 3) | scheduler_clock)


def resident_mib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        fields = dict(line.split(":", 1) for line in file)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon", "RssFile")}
