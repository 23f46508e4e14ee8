"""What fleetctl says of why units are where they are, and of what would happen."""
import json

from cluster import service, wait_for

# Two zones, one of a single machine, and room for four gigabytes on each.
ZONES = {"machines": 3, "ttl": 3, "metadata": ["m1:zone=a", "m2:zone=b", "m3:zone=b"],
         "conf": ["capacity_memory=4G", "capacity_cpu=4"]}


def on(lab, machine, *lines):
    """A unit that runs on this machine only."""
    return service(fleet=[f"MachineID={lab.id[machine]}", *lines])


def explain(lab, unit, **options):
    """The explanation, with machines by name."""
    told = json.loads(lab.ctl("explain", "-l", "-o", "json", unit, **options).stdout)
    told["machines"] = [lab.of_id[id_] for id_ in told["machines"]]
    told["verdicts"] = {lab.of_id[verdict["machineID"]]: verdict for verdict in told["verdicts"]}
    return told


def changes(lab, done):
    """{unit: (change, from, to)} of a plan in JSON; machines by name, those that are new as they
    are."""
    return {change["unit"]: (change["change"],
                             *(lab.of_id.get(change.get(end), change.get(end))
                               for end in ("from", "machine")))
            for change in json.loads(done.stdout)["changes"]}


def plan(lab, *arguments, **options):
    """The same of `fleetctl plan`, whose exit status has to go with it."""
    done = lab.ctl("plan", *arguments, "-o", "json", status=None, **options)
    assert done.returncode in (0, 1), done
    planned = changes(lab, done)
    assert done.returncode == (1 if planned else 0), planned
    return planned


def running(lab, at=None):
    """{unit: machine} of all units that are active."""
    return {state["name"]: lab.of_id[state["machineID"]] for state in lab.list("list-units", at)
            if state["systemdActiveState"] == "active"}


def after(before, planned):
    """Where units run, {unit: machine}, once these changes are made."""
    result = dict(before)
    for unit, (change, _, to) in planned.items():
        if change in ("place", "move"):
            result[unit] = to
        elif change != "stay":
            result.pop(unit, None)
    return result


def wait_running(lab, wanted, seconds=30, at=None):
    """Waits until exactly these run: {unit: machine}."""
    wait_for(lambda: running(lab, at) == wanted,
             lambda: f"running: {running(lab, at)}, not {wanted}", seconds)
