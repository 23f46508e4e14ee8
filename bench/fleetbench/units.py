"""The units that are measured: sleeping services, instances of one template."""
import os

from .errors import BenchError
from .systemd import LINKS

FLEET = "bench"   # instances that fleet runs
PLAIN = "plain"   # the same, that systemd alone runs
TEXT = """[Unit]
Description=Sleeping service of a benchmark

[Service]
ExecStart=/bin/sleep infinity
"""


def names(prefix, count):
    return [f"{prefix}@{number}.service" for number in range(1, count + 1)]


def write_template(directory):
    with open(os.path.join(directory, f"{FLEET}@.service"), "w", encoding="ascii") as file:
        file.write(TEXT)


def share(all_names, machines):
    """Deals names out to machines as evenly as fleet does."""
    return {machine: all_names[number::len(machines)]
            for number, machine in enumerate(machines) if all_names[number::len(machines)]}


def files_left(machine):
    """Files and links of measured units on a running machine."""
    found = []
    for directory in ("/run/fleet/units", LINKS):
        try:
            entries = os.listdir(machine.path(directory))
        except FileNotFoundError:
            continue
        found += [entry for entry in entries if entry.startswith((f"{FLEET}@", f"{PLAIN}@"))]
    return found


def require_clean(lab):
    """Nothing of an earlier run is left: units in systemd, files, records."""
    listed = lab.on_each({machine: ["systemctl", "list-units", "--all", "--plain", "--no-legend",
                                    f"{FLEET}@*", f"{PLAIN}@*"] for machine in lab.machines})
    for machine, output in listed.items():
        if output.strip():
            raise BenchError(f"left in {machine.name}'s systemd:\n{output.strip()[:1000]}")
        left = files_left(machine)
        if left:
            raise BenchError(f"left on {machine.name}'s disk: {' '.join(left[:20])}")
    records = lab.fleetctl("list-unit-files", "--no-legend").strip() if lab.fleet else ""
    if records:
        raise BenchError(f"left in fleet's registry:\n{records[:1000]}")
