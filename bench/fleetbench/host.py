"""What the figures were measured on, and whether it was quiet."""
import datetime
import os
import platform

from . import progress


def describe():
    """Cores, memory, kernel and date; `load` is what ran beside the benchmark at its beginning."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "cpu": _cpu(),
        "load": round(os.getloadavg()[0], 2),
        "date": datetime.date.today().isoformat(),
    }


def _cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def warn_if_busy(host):
    if host["load"] > 0.5 * host["cores"]:
        progress.say(f"the load is {host['load']}: others use the CPUs, the figures will be high")
