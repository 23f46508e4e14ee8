"""One machine: its disk, its start and its ends (crash, power off, reboot)."""
import os
import re
import shutil
import signal
import socket
import subprocess

from . import certificates, cgroup, containers, enter, etcd, network, process
from . import layout as names
from .errors import LabError, TimeOut
from .process import run, wait_until

BOOT_SECONDS = 120
_SSH_ANSWER_SECONDS = 20
_SUPERVISE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "supervise")
_NSPAWN_RUN = "/run/systemd/nspawn"


def prepare(layout, state, machine):
    """Makes the machine's disk with its configuration, and mounts it over the shared root."""
    for directory in (machine.upper, machine.work, machine.root):
        os.makedirs(directory, exist_ok=True)
    for path, (text, mode) in _files(layout, state, machine).items():
        full = os.path.join(machine.upper, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(full, mode)
    if state["fleet"]:
        _install_units(state, machine)
    run(["mount", "-t", "overlay", "fleet-lab", "-o",
         f"lowerdir={state['root']},upperdir={machine.upper},workdir={machine.work}",
         machine.root])


def _files(layout, state, machine):
    subnet = state["subnet"]
    everyone = [layout.machine(number) for number in range(1, state["machines"] + 1)]
    hosts = "127.0.0.1 localhost\n" + "".join(
        f"{other.ip(subnet)} {other.name}\n" for other in everyone)
    network_commands = (f"addr add {machine.ip(subnet)}/24 dev host0\n"
                        "link set host0 up\n"
                        f"route add default via {names.address(subnet, names.GATEWAY_HOST)}\n")
    key = layout.path("ssh", f"{machine.name}.host_key")
    extra = {path: (text, 0o644) for path, text in containers.files(state["containers"]).items()}
    if state["etcd_tls"]:
        extra.update((path, (_read(source), 0o600))
                     for path, source in _etcd_files(layout).values())
    return {
        **extra,
        "etc/machine-id": (machine.machine_id() + "\n", 0o444),
        "etc/hostname": (machine.name + "\n", 0o644),
        "etc/hosts": (hosts, 0o644),
        "etc/lab/network": (network_commands, 0o644),
        "etc/fleet/fleet.conf": (configuration(layout, state, machine),
                                 0o600 if state["etcd_auth"] else 0o644),
        "etc/ssh/ssh_host_ed25519_key": (_read(key), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (_read(key + ".pub"), 0o644),
        "etc/ssh/authorized_keys.lab": (_read(layout.ssh_key + ".pub"), 0o644),
    }


def _etcd_files(layout):
    """The key of fleet.conf: where the file is in the machine, and which one it is."""
    files = certificates.Files(layout)
    return {"etcd_cafile": ("etc/fleet/etcd-ca.pem", files.ca),
            "etcd_certfile": ("etc/fleet/etcd-client.pem", files.client),
            "etcd_keyfile": ("etc/fleet/etcd-client-key.pem", files.client_key)}


def configuration(layout, state, machine):
    """The machine's fleet.conf."""
    subnet = state["subnet"]
    lines = []
    if state["etcd"]:
        servers = ",".join(f'"{etcd.endpoint(state, number + 1)}"'
                           for number in range(state["etcd"]))
        lines.append(f"etcd_servers=[{servers}]")
    if state["etcd_tls"]:
        lines += [f"{key}=/{path}" for key, (path, _) in _etcd_files(layout).items()]
    if state["etcd_auth"]:
        user, _, password = state["etcd_auth"].partition(":")
        lines += [f"etcd_username={user}", f"etcd_password={password}"]
    lines += [f"public_ip={machine.ip(subnet)}",
              f"listen=0.0.0.0:{names.API_PORT}",
              "listen_insecure=true"]
    if machine.name in state["metadata"]:
        lines.append(f"metadata={state['metadata'][machine.name]}")
    if state["ttl"]:
        lines.append(f"agent_ttl={state['ttl']}s")
    return "\n".join(lines + state["conf"]) + "\n"


def _install_units(state, machine):
    units = os.path.join(machine.upper, "etc/systemd/system")
    for unit, target in (("fleet.socket", "sockets.target"),
                         ("fleet-guard.service", "multi-user.target"),
                         ("fleet.service", "multi-user.target")):
        source = os.path.join(state["packaging"], unit)
        if unit == "fleet-guard.service" and not (
                os.path.exists(source) and os.path.exists(os.path.join(state["bin"],
                                                                       "fleet-guard"))):
            continue  # a version of fleet without it
        wants = os.path.join(units, f"{target}.wants")
        os.makedirs(wants, exist_ok=True)
        shutil.copyfile(source, os.path.join(units, unit))
        link = os.path.join(wants, unit)
        if not os.path.lexists(link):
            os.symlink(f"/etc/systemd/system/{unit}", link)
    logind = os.path.join(state["packaging"], "logind.conf.d")
    if os.path.isdir(logind):
        shutil.copytree(logind, os.path.join(machine.upper, "etc/systemd/logind.conf.d"),
                        dirs_exist_ok=True)
    # Beside those of the root file system.
    guard = os.path.join(machine.upper, "usr/bin/fleet-guard")
    os.makedirs(os.path.dirname(guard), exist_ok=True)
    if not os.path.lexists(guard):
        os.symlink("/opt/fleet/bin/fleet-guard", guard)


def _read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def wipe(layout, state, machine):
    """An emptied disk, as after an exchange of the hardware; the identity stays."""
    run(["umount", "--lazy", machine.root])  # somebody may be looking around in there
    shutil.rmtree(machine.upper)
    shutil.rmtree(machine.work)
    shutil.rmtree(machine.storage, ignore_errors=True)
    prepare(layout, state, machine)


def start(layout, state, machine):
    """Switches the power on."""
    cgroup.remove(layout.name, machine.name)
    groups = " ".join(cgroup.create(layout.name, machine.name))
    if os.path.exists(machine.exit_file):
        os.unlink(machine.exit_file)
    binds = [f"--bind-ro={state['bin']}:/opt/fleet/bin"] if os.path.isdir(state["bin"]) else []
    process.spawn(layout, "host", [
        _SUPERVISE, machine.veth, machine.exit_file, groups,
        "systemd-nspawn", "--quiet", "--settings=no", "--register=no", "--keep-unit",
        f"--machine={machine.nspawn_name}", f"--hostname={machine.name}",
        f"--directory={machine.root}", "--boot",
        "--network-veth", f"--network-bridge={layout.bridge}",
        "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe",
        *binds, *containers.nspawn_options(state["containers"], machine), *state["nspawn"],
    ], machine.pid_file, machine.console)
    wait_until(f"the supervisor of {machine.name}", lambda: is_powered(layout, machine)
               or os.path.exists(machine.exit_file), 10)


def is_powered(layout, machine):
    return process.pid_of(layout, machine.pid_file) is not None


def wait_ready(layout, state, machine, seconds=BOOT_SECONDS):
    """Returns once the machine's systemd has finished booting and its sshd answers."""
    try:
        wait_until(f"the boot of {machine.name}", lambda: _has_booted(layout, machine), seconds)
    except TimeOut as error:
        raise LabError(f"{error}; {_how_far(layout, machine)}") from error
    peers = state["partitions"].get(machine.name, [])
    if not any(peer.startswith("*") for peer in peers):
        ip = machine.ip(state["subnet"])
        wait_until(f"the sshd of {machine.name} ({ip})", lambda: _ssh_answers(ip), seconds)


def _has_booted(layout, machine):
    leader = enter.leader(layout, machine)
    if leader is None:
        if os.path.exists(machine.exit_file):
            raise LabError(f"{machine.name} did not boot; the end of its console "
                           f"({machine.console}):\n{tail(machine.console)}")
        return False
    if not os.path.exists(f"/proc/{leader}/root/run/systemd/private"):
        return False
    try:
        said = subprocess.run(
            [*enter.nsenter(leader), "systemctl", "is-system-running", "--wait"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, timeout=BOOT_SECONDS, env=enter.environment())
    except subprocess.TimeoutExpired:
        return False
    return said.stdout.strip() in ("running", "degraded")


def _how_far(layout, machine):
    """What there is to see of a boot that does not end."""
    leader = enter.leader(layout, machine)
    if leader is None:
        said = "it has no PID 1"
    else:
        script = "systemctl is-system-running; systemctl list-jobs; systemctl --failed"
        done = run(["timeout", "20", *enter.nsenter(leader), "sh", "-c", script], check=False,
                   env=enter.environment())
        said = f"its systemd says:\n{(done.stdout + done.stderr).strip()}"
    return f"{said}\nThe end of its console ({machine.console}):\n{tail(machine.console)}"


def _ssh_answers(ip):
    """Patiently: each connection costs the machine a process, and a slow one that is asked again
    before it has answered gets slower still."""
    try:
        with socket.create_connection((ip, 22), timeout=1) as connection:
            connection.settimeout(_SSH_ANSWER_SECONDS)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def tail(path, size=2000):
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def crash(layout, machine):
    """Power loss. The cable first: SIGKILL alone lets the kernel close the TCP connections."""
    network.cut_link(machine.veth)
    leader = enter.leader(layout, machine)
    if leader:
        process.kill(leader, signal.SIGKILL)
    supervisor = process.pid_of(layout, machine.pid_file)
    if supervisor:  # it must not start the machine again: a crash may hit a reboot
        process.kill(supervisor, signal.SIGSTOP)
        for child in process.children(supervisor):
            process.kill(child, signal.SIGKILL)
        process.kill(supervisor, signal.SIGKILL)
    wait_until(f"the end of {machine.name}", lambda: _kill_rest(layout, machine), 30)
    remove_remains(machine)


def _kill_rest(layout, machine):
    """A machine that was only starting has no PID 1 yet that would take the others along."""
    rest = cgroup.pids_in(layout.name, machine.name)
    for pid in rest:
        process.kill(pid, signal.SIGKILL)
    return not rest and not is_powered(layout, machine)


def wait_off(layout, machine, seconds=30):
    wait_until(f"the end of {machine.name}",
               lambda: not is_powered(layout, machine)
               and not cgroup.pids_in(layout.name, machine.name), seconds)


def remove_remains(machine):
    """What a killed systemd-nspawn leaves: its interface, its lock, its propagation directory."""
    network.delete_link(machine.veth)
    try:
        root = os.stat(machine.root)
        os.unlink(f"{_NSPAWN_RUN}/locks/inode-{root.st_dev}:{root.st_ino}")
    except OSError:
        pass
    shutil.rmtree(f"{_NSPAWN_RUN}/propagate/{machine.nspawn_name}", ignore_errors=True)


def remove_nspawn_directories(layout):
    """The same for a whole lab, by name, and the directories if nobody else uses them."""
    propagate = f"{_NSPAWN_RUN}/propagate"
    if os.path.isdir(propagate):
        for name in os.listdir(propagate):
            if re.fullmatch(layout.tag + r"m\d+", name):
                shutil.rmtree(os.path.join(propagate, name), ignore_errors=True)
    for path in (propagate, f"{_NSPAWN_RUN}/locks", _NSPAWN_RUN):
        try:
            os.rmdir(path)
        except OSError:
            pass


def run_state(layout, machine):
    """running, booting, off (it ended by itself) or crashed."""
    if enter.leader(layout, machine):
        return "running"
    if is_powered(layout, machine):
        return "booting"
    try:
        return "off" if _read(machine.exit_file).strip() == "0" else "crashed"
    except OSError:
        return "crashed"
