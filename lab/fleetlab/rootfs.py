"""The machines' shared, read-only root file system: built once, cached, keyed by its recipe."""
import fcntl
import hashlib
import os
import platform
import shutil
import subprocess

from .errors import LabError
from .layout import CACHE_BASE
from .process import CLEAN_ENV, run, say

RELEASE = "bookworm"
PACKAGES = [
    "systemd", "systemd-sysv", "libpam-systemd", "dbus", "openssh-server", "openssh-client",
    "sudo", "iproute2", "iptables", "procps", "iputils-ping", "busybox-static", "bash", "curl",
    # What fleetd and fleetctl are linked against.
    "libgrpc++1.51", "libprotobuf32", "libprotobuf-lite32", "libabsl20220623",
    "libsqlite3-0", "libyaml-cpp0.7", "libfmt9", "libspdlog1.10", "libsystemd0", "libssl3",
    "libprometheus-cpp-core1.0", "libprometheus-cpp-pull1.0",
    # The same built with -fsanitize=.
    "libasan8", "libubsan1", "libtsan2",
]
# Each would only cost time at boot, or wake up in the middle of a test.
MASKED = [
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "systemd-tmpfiles-clean.timer", "man-db.timer",
    "logrotate.timer", "systemd-pstore.service", "systemd-resolved.service",
    "systemd-timesyncd.service", "systemd-networkd-wait-online.service", "getty.target",
    "console-getty.service", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service",
    "systemd-modules-load.service", "systemd-binfmt.service", "systemd-firstboot.service",
    "systemd-machine-id-commit.service", "systemd-repart.service", "systemd-hwdb-update.service",
    "systemd-random-seed.service", "systemd-sysusers.service", "systemd-udevd.service",
    "systemd-udev-trigger.service", "dev-hugepages.mount", "sys-kernel-debug.mount",
    "sys-kernel-config.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount", "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path", "ldconfig.service", "keyboard-setup.service",
    "console-setup.service", "nftables.service",
]
FILES = {
    "etc/systemd/system/lab-network.service": """\
[Unit]
Description=The lab's static address
DefaultDependencies=no
Before=network.target
Wants=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/ip -batch /etc/lab/network
""",
    # Without this a login may come while pam_nologin still refuses everybody but root.
    "etc/systemd/system/ssh.service.d/lab.conf": """\
[Unit]
After=systemd-user-sessions.service lab-network.service
""",
    "etc/ssh/sshd_config.d/lab.conf": """\
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys.lab
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
MaxStartups 200
MaxSessions 200
""",
    "etc/sudoers.d/lab": "core ALL=(ALL) NOPASSWD: ALL\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=persistent\nSystemMaxUse=128M\n",
    # A stop that hangs must not hold up a reboot for a minute and a half.
    "etc/systemd/system.conf.d/lab.conf": "[Manager]\nDefaultTimeoutStopSec=20s\n",
}
# Runs on the host; "$1" is the new root.
CUSTOMIZE = """\
set -eu
groupadd -R "$1" --system fleet
useradd -R "$1" --create-home --shell /bin/bash --groups systemd-journal,adm,sudo,fleet core
# Accounts whose password is '!' are locked for sshd without PAM; '*' only has no password.
usermod -R "$1" --password '*' core
rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/etc/hostname "$1"/etc/resolv.conf
: > "$1"/etc/machine-id
mkdir -p "$1"/etc/lab "$1"/etc/fleet "$1"/opt/fleet/bin "$1"/var/log/journal
ln -s /opt/fleet/bin/fleetd "$1"/usr/bin/fleetd
ln -s /opt/fleet/bin/fleetctl "$1"/usr/bin/fleetctl
systemctl --root="$1" enable ssh.service
"""
DOCUMENTS = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
             "/usr/share/lintian/*"]
KEPT_ROOTS = 4


def ensure(extra_packages=()):
    """The path of the root, built first if no other lab has. Two labs at once build once."""
    packages = PACKAGES + sorted(set(extra_packages) - set(PACKAGES))
    root = os.path.join(CACHE_BASE, f"root-{_key(packages)}")
    if not os.path.isdir(root):
        _check_release()
        os.makedirs(CACHE_BASE, exist_ok=True)
        lock = os.open(CACHE_BASE, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(root):
                _build(root, packages)
        finally:
            os.close(lock)
    os.utime(root)  # for _forget_old
    return root


def _key(packages):
    recipe = repr((RELEASE, platform.machine(), packages, MASKED, sorted(FILES.items()),
                   CUSTOMIZE, DOCUMENTS))
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def _check_release():
    release = platform.freedesktop_os_release().get("VERSION_CODENAME")
    if release != RELEASE:
        raise LabError(f"this host is '{release}', and the lab needs Debian 12 ({RELEASE}): its "
                       "machines run the host's programs on the libraries of the same release")


def _build(root, packages):
    say(f"building the machines' root file system (once; about 20 s) in {root}")
    remove_unfinished()
    _forget_old()
    work = f"{root}.tmp"
    os.makedirs(work)
    sources = _apt_sources(work)
    script = os.path.join(work, "customize.sh")
    with open(script, "w", encoding="utf-8") as file:
        file.write(CUSTOMIZE)
    new = os.path.join(work, "root")
    # Its own process and mount namespace, bound to our life: killing the lab ends the build.
    argv = ["setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
            "mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(packages),
            *[f"--dpkgopt=path-exclude={pattern}" for pattern in DOCUMENTS],
            *[f"--aptopt={line}" for line in _apt_options()],
            f"--customize-hook=sh {script} \"$1\"", RELEASE, new, *sources]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, env=_build_environment())
    if done.returncode:
        shutil.rmtree(work, ignore_errors=True)
        raise LabError("mmdebstrap could not build the root file system (is a Debian mirror "
                       f"configured and within reach?):\n{done.stdout.strip()[-3000:]}")
    _finish(new)
    os.rename(new, root)
    shutil.rmtree(work)


def _build_environment():
    proxies = {name: value for name, value in os.environ.items()
               if name.lower().endswith("_proxy")}
    return {**CLEAN_ENV, **proxies}


def _finish(root):
    for path, text in FILES.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
    os.chmod(os.path.join(root, "etc/sudoers.d/lab"), 0o440)
    units = os.path.join(root, "etc/systemd/system")
    for unit in MASKED:
        path = os.path.join(units, unit)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink("/dev/null", path)
    wants = os.path.join(units, "sysinit.target.wants")
    os.makedirs(wants, exist_ok=True)
    os.symlink("/etc/systemd/system/lab-network.service",
               os.path.join(wants, "lab-network.service"))


def _apt_sources(work):
    """The host's Debian sources of this release, and no third party's, as files of their own."""
    lines, stanzas = [], []
    folder = "/etc/apt/sources.list.d"
    names = [os.path.join(folder, name) for name in sorted(os.listdir(folder))] \
        if os.path.isdir(folder) else []
    for path in ["/etc/apt/sources.list", *names]:
        if path.endswith(".list") and os.path.exists(path):
            lines += [line for line in _read(path).splitlines() if _is_debian_line(line)]
        elif path.endswith(".sources"):
            stanzas += [stanza for stanza in _read(path).split("\n\n") if _is_debian(stanza)]
    files = []
    for name, text in (("host.list", "\n".join(lines)), ("host.sources", "\n\n".join(stanzas))):
        if text:
            files.append(os.path.join(work, name))
            with open(files[-1], "w", encoding="utf-8") as file:
                file.write(text + "\n")
    if not files:
        raise LabError(f"/etc/apt names no Debian source of {RELEASE} to build the machines' "
                       "root file system from")
    return files


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def _is_debian_line(line):
    words = [word for word in line.split() if not word.startswith("#")]
    return bool(words) and words[0] == "deb" and "main" in words and _has_release(words)


def _is_debian(stanza):
    fields = {}
    for line in stanza.splitlines():
        if ":" in line and not line.startswith(("#", " ", "\t")):
            key, value = line.split(":", 1)
            fields[key.strip().lower()] = value.split()
    return ("deb" in fields.get("types", []) and "main" in fields.get("components", [])
            and fields.get("enabled") != ["no"] and _has_release(fields.get("suites", [])))


def _has_release(words):
    return any(word == RELEASE or word.startswith((RELEASE + "-", RELEASE + "/"))
               for word in words)


def _apt_options():
    """How this host reaches its mirror: proxies and what it does about old snapshots."""
    dump = run(["apt-config", "dump"]).stdout
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until",
              "Acquire::Check-Date", "Acquire::Retries")
    return [line.rstrip(";") for line in dump.splitlines() if line.startswith(wanted)]


def remove_unfinished():
    """Removes what a killed build left. The caller holds the cache's lock."""
    for name in os.listdir(CACHE_BASE):
        if name.endswith(".tmp"):
            shutil.rmtree(os.path.join(CACHE_BASE, name), ignore_errors=True)


def clean():
    """Removes what a killed build left, unless one is going on."""
    try:
        lock = os.open(CACHE_BASE, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove_unfinished()
    except BlockingIOError:
        pass
    finally:
        os.close(lock)


def _forget_old():
    """Keeps the roots used last; one that a machine has mounted is never removed."""
    in_use = _read("/proc/self/mounts")
    roots = [os.path.join(CACHE_BASE, name) for name in os.listdir(CACHE_BASE)]
    roots.sort(key=os.path.getmtime, reverse=True)
    for path in roots[KEPT_ROOTS - 1:]:
        if f"lowerdir={path}," not in in_use:
            shutil.rmtree(path, ignore_errors=True)
