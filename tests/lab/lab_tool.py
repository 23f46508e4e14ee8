"""The lab as its tests use it: lab/lab, and what a lab leaves on the host."""
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "lab" / "lab")
sys.path.insert(0, str(ROOT / "lab"))

from fleetlab import layout as layouts  # noqa: E402  (the path must be set first)
from fleetlab import process  # noqa: E402


def run_lab(*arguments, check=True, timeout=180, **options):
    return subprocess.run([LAB, *arguments], capture_output=True, text=True, check=check,
                          timeout=timeout, **options)


def fresh_name():
    return f"t-{secrets.token_hex(4)}"


def eventually(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def remains(name):
    """Everything on the host that bears the lab's name."""
    lab = layouts.Layout(name)
    found = [line for line in Path("/proc/self/mounts").read_text().splitlines()
             if f"/{name}" in line]
    found += [link for link in os.listdir("/sys/class/net") if lab.tag in link]
    found += sorted(process.of_lab(lab))
    for top in (layouts.RUN_BASE, layouts.DATA_BASE, "/run/systemd/nspawn", "/sys/fs/cgroup"):
        for directory, folders, files in os.walk(top):
            found += [str(Path(directory) / entry) for entry in folders + files
                      if entry == name or lab.tag in entry]
            if top == layouts.RUN_BASE:
                folders.clear()  # other labs
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True).stdout
    found += [line for line in tables.splitlines() if lab.tag in line]
    return found


def stale_nspawn_locks():
    """Locks (inode-DEVICE:INODE) of file systems that are mounted no more. Other labs' are."""
    folder = Path("/run/systemd/nspawn/locks")
    locks = list(folder.iterdir()) if folder.is_dir() else []
    mounted = {tuple(map(int, line.split()[2].split(":")))
               for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    devices = {lock.name: int(lock.name.removeprefix("inode-").split(":")[0]) for lock in locks}
    return [name for name, device in devices.items()
            if (os.major(device), os.minor(device)) not in mounted]


class Lab:
    """A lab that is up."""

    def __init__(self, name, *options):
        self.name = name
        run_lab("up", "--name", name, "--no-fleet", *options)

    def __call__(self, verb, *arguments, **options):
        return run_lab(verb, "--name", self.name, *arguments, **options)

    def inside(self, machine, *command, **options):
        return self("exec", machine, "--", *command, **options)

    def status(self):
        return json.loads(self("status", "-o", "json").stdout)

    def machine(self, name):
        return next(m for m in self.status()["machines"] if m["name"] == name)

    def env(self):
        return {**os.environ, **json.loads(self("env", "-o", "json").stdout)}

    def reaches(self, machine, address):
        return self.inside(machine, "ping", "-c1", "-W1", address, check=False).returncode == 0


def etcdctl(lab, *arguments, check=True):
    return subprocess.run(["etcdctl", "--command-timeout=2s", *arguments], env=lab.env(),
                          capture_output=True, text=True, check=check)
