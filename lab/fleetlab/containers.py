"""What a machine needs beyond the plain one so that podman or dockerd runs inside it."""
import os

ENGINES = {
    "podman": {"packages": ["podman", "crun", "netavark", "aardvark-dns", "ca-certificates"],
               "storage": "/var/lib/containers"},
    "docker": {"packages": ["docker.io", "ca-certificates"], "storage": "/var/lib/docker"},
}
# The engines make cgroups of their own; systemd-nspawn mounts all but systemd's read-only.
_UNIT = """\
[Unit]
Description=Writable cgroup hierarchies for containers
DefaultDependencies=no
Before=basic.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'for c in /sys/fs/cgroup/*; do mountpoint -q $$c && \
mount -o remount,rw,bind $$c; done; true'
"""


def packages(engines):
    return [package for engine in engines for package in ENGINES[engine]["packages"]]


def files(engines):
    """Files of the machine's disk: path → text."""
    if not engines:
        return {}
    return {"etc/systemd/system/lab-cgroups.service": _UNIT,
            "etc/systemd/system/basic.target.d/lab.conf":
            "[Unit]\nRequires=lab-cgroups.service\nAfter=lab-cgroups.service\n"}


def nspawn_options(engines, machine):
    """Storage on the lab's tmpfs itself, for an overlay cannot lie upon an overlay."""
    if not engines:
        return []
    options = ["--system-call-filter=add_key keyctl"]
    for engine in engines:
        directory = os.path.join(machine.storage, engine)
        os.makedirs(directory, exist_ok=True)
        options.append(f"--bind={directory}:{ENGINES[engine]['storage']}")
    return options
