"""What a lab tells: status, list, env, logs."""
import json
import os
import subprocess

from . import enter, etcd, lifecycle, machine, process, state
from . import layout as names
from .errors import LabError


def status(layout):
    current = state.require(layout)
    return {
        "name": layout.name,
        "phase": current["phase"],
        "subnet": current["subnet"],
        "bridge": layout.bridge,
        "fleet": current["fleet"],
        "directory": layout.run,
        "machines": [_machine_status(layout, current, each)
                     for each in lifecycle.all_machines(layout, current)],
        "etcd": [_member_status(member) for member in etcd.members(layout, current)],
    }


def _machine_status(layout, current, each):
    return {
        "name": each.name,
        "id": _machine_id(each),
        "ip": each.ip(current["subnet"]),
        "pid": enter.leader(layout, each),
        "state": machine.run_state(layout, each),
        "partitioned": current["partitions"].get(each.name, []),
        "metadata": current["metadata"].get(each.name, ""),
        "interface": each.veth,
        "root": each.root,
    }


def _machine_id(each):
    try:
        with open(os.path.join(each.root, "etc/machine-id"), encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _member_status(member):
    run_state = member.run_state()
    return {"name": member.name, "endpoint": member.endpoint, "state": run_state,
            "pid": member.pid(), "leader": run_state == "running" and member.leads()}


def print_status(layout, output):
    found = status(layout)
    if output == "json":
        _print_json(found)
        return
    print(f"lab {found['name']}  {found['phase']}  {found['subnet']}  {found['directory']}")
    rows = [[m["name"], m["state"], m["ip"], m["id"], str(m["pid"] or "-"),
             ",".join(m["partitioned"]).replace("*", "everybody") or "-", m["metadata"] or "-"]
            for m in found["machines"]]
    _print_table(["MACHINE", "STATE", "IP", "ID", "PID", "CUT FROM", "METADATA"], rows)
    if found["etcd"]:
        _print_table(["ETCD", "STATE", "ENDPOINT", "PID", "LEADER"],
                     [[m["name"], m["state"], m["endpoint"], str(m["pid"] or "-"),
                       "yes" if m["leader"] else "-"] for m in found["etcd"]])


def print_list(output):
    rows = []
    for name in state.labs():
        layout = names.Layout(name)
        current = state.load(layout)
        rows.append({"name": name, "phase": current["phase"] if current else "dead",
                     "machines": current["machines"] if current else 0,
                     "subnet": current["subnet"] if current else ""})
    if output == "json":
        _print_json(rows)
    else:
        _print_table(["LAB", "PHASE", "MACHINES", "SUBNET"],
                     [[r["name"], r["phase"], str(r["machines"]), r["subnet"] or "-"]
                      for r in rows])


def _print_json(value):
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(header, rows):
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def variables(layout):
    """What makes fleetctl, etcdctl and ssh on the host talk to this lab."""
    current = state.require(layout)
    machines = lifecycle.all_machines(layout, current)
    found = {
        "FLEETLAB_NAME": layout.name,
        "FLEETCTL_ENDPOINT": ",".join(f"http://{m.ip(current['subnet'])}:{names.API_PORT}"
                                      for m in machines),
        "FLEETCTL_SSH_USERNAME": "core",
        "FLEETCTL_KNOWN_HOSTS_FILE": layout.known_hosts,
        "FLEETCTL_STRICT_HOST_KEY_CHECKING": "true",
        "SSH_AUTH_SOCK": layout.agent_socket,
        "FLEETLAB_SSH_KEY": layout.ssh_key,
    }
    if current["etcd"]:
        found.update(etcd.environment(layout, current))
    return found, current["bin"]


def print_env(layout, output):
    found, binaries = variables(layout)
    if output == "json":
        _print_json(found)
        return
    for name, value in found.items():
        print(f"export {name}={_quoted(value)}")
    print(f"export PATH={_quoted(binaries)}:\"$PATH\"")


def _quoted(value):
    return "'" + value.replace("'", "'\"'\"'") + "'"


def logs(layout, name, unit, lines, follow, console):
    """A machine's journal, or what it left when it is dead; or its console."""
    current = state.require(layout)
    each = state.machine(layout, current, name)
    options = ["-u", unit] if unit else []
    options += ["-n", str(lines)] if lines is not None else []
    options += ["-f"] if follow else []
    pid = enter.leader(layout, each)
    if console:
        return subprocess.call(["tail", "-n", str(lines or "+1"), *(["-f"] if follow else []),
                                each.console])
    if pid:
        return subprocess.call([*enter.nsenter(pid), "journalctl", "--no-pager", *options],
                               env=enter.environment())
    journal = os.path.join(each.upper, "var/log/journal")
    if not os.path.isdir(journal):
        raise LabError(f"{name} is not running and has left no journal; its console is in "
                       f"{each.console}")
    process.say(f"{name} is not running: this is the journal it left")
    return subprocess.call(["journalctl", "--no-pager", f"--directory={journal}",
                            *[o for o in options if o != "-f"]])
