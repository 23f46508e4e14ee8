"""Cordon and drain, and FleetLock, by which machines that update themselves ask for a drain."""
import json

import pytest
from cluster import service, wait_for
from planning import after, on, plan, running, wait_running

LAB = {"machines": 3, "ttl": 3}
pytestmark = pytest.mark.machines(3)


@pytest.fixture(autouse=True)
def _open(lab):
    yield
    lab.ctl("uncordon", *(lab.id[machine] for machine in lab.machines))
    for machine in lab.machines:
        lock(lab, machine, "steady-state")


def state(lab, machine):
    return next(each["state"] for each in lab.list("list-machines")
                if lab.of_id[each["id"]] == machine)


def lock(lab, machine, what, id_=None):
    """The status and the answer of a request of the machine's updater, by its derived id."""
    id_ = id_ or lab.run(machine, "systemd-id128", "machine-id",
                         "--app-specific=de35106b6ec24688b63afddaa156679b").strip()
    body = json.dumps({"client_params": {"id": id_, "group": "default"}})
    said = lab.run(machine, "curl", "-s", "-w", "\n%{http_code}", "-X", "POST",
                   "-H", "fleet-lock-protocol: true", "-H", "content-type: application/json",
                   "-d", body, f"http://{lab.ip['m1']}:49153/v1/{what}")
    answer, code = said.rsplit("\n", 1)
    return int(code), json.loads(answer)


def test_a_cordoned_machine_gets_nothing_new_until_it_is_opened(lab):
    assert lab.start("old.service", on(lab, "m2")) == "m2"
    lab.ctl("cordon", lab.id["m2"][:12])
    assert state(lab, "m2") == "cordoned"
    names = [lab.file(f"u{i}.service") for i in range(4)]
    lab.ctl("start", *names)
    assert {lab.where(name) for name in names} == {"m1", "m3"}
    assert lab.where("old.service") == "m2"
    lab.file("new.service", on(lab, "m2"))
    refused = lab.ctl("start", "--timeout=10s", "new.service", status=6)
    assert "cordoned" in refused.stderr
    lab.ctl("uncordon", lab.id["m2"])
    assert lab.wait_where("new.service") == "m2"


def test_a_drain_does_what_its_plan_says_and_names_what_cannot_move(lab):
    names = [lab.file(f"u{i}.service") for i in range(9)]
    lab.ctl("start", *names)
    lab.file("everywhere.service", service(fleet=["Global=true"]))
    lab.ctl("start", "everywhere.service")
    wait_for(lambda: len(lab.active("everywhere.service")) == 3, "the global unit")
    assert lab.start("pinned.service", on(lab, "m2")) == "m2"
    before = {unit: machine for unit, machine in running(lab).items()
              if unit != "everywhere.service"}
    planned = plan(lab, "drain", lab.id["m2"])
    assert planned.pop("everywhere.service") == ("stop", "m2", None)
    assert planned["pinned.service"] == ("stay", "m2", None)

    drain = lab.ctl("drain", "--timeout=8s", lab.id["m2"], status=5)
    assert "pinned.service" in drain.stderr and "MachineID" in drain.stderr
    assert lab.active("everywhere.service") == ["m1", "m3"]
    assert lab.local_units("m2") == ["pinned.service"]
    assert state(lab, "m2") == "draining"
    lab.ctl("destroy", "everywhere.service")
    wait_running(lab, after(before, planned))

    lab.ctl("destroy", "pinned.service")
    assert "is drained" in lab.ctl("drain", lab.id["m2"]).stdout
    assert state(lab, "m2") == "drained"


def test_a_machine_reboots_by_fleetlock_once_it_is_empty(lab):
    names = [lab.file(f"u{i}.service") for i in range(6)]
    lab.ctl("start", *names)
    assert lock(lab, "m2", "pre-reboot")[0] == 409, "it is not empty"
    wait_for(lambda: lock(lab, "m2", "pre-reboot")[0] == 200, "the slot of m2")
    assert not lab.local_units("m2")
    code, answer = lock(lab, "m3", "pre-reboot", lab.id["m3"])
    assert code == 409 and answer["kind"] == "no_slot", "there is one slot"
    assert lock(lab, "m2", "pre-reboot")[0] == 200
    assert lock(lab, "m2", "steady-state")[0] == 200
    wait_for(lambda: lock(lab, "m3", "pre-reboot", lab.id["m3"])[0] == 200, "the slot of m3")
    assert state(lab, "m2") == "ready" and state(lab, "m3") == "drained"
    assert {lab.where(name) for name in names} <= {"m1", "m2"}


def test_at_its_deadline_a_drain_names_what_is_left_or_stops_it(lab):
    wait_for(lambda: all(feature["enabled"] for feature in lab.list("features")),
             "features that all machines know")
    assert lab.start("pinned.service", on(lab, "m2")) == "m2"
    drain = lab.ctl("drain", "--deadline=2s", lab.id["m2"], status=1)
    assert "has expired" in drain.stderr and "pinned.service" in drain.stderr
    assert state(lab, "m2") == "drain-expired"
    assert lab.local_units("m2") == ["pinned.service"]
    assert "is drained" in lab.ctl("drain", "--force", lab.id["m2"]).stdout
    assert not lab.local_units("m2")


def test_units_named_together_are_restarted_one_after_the_other(lab):
    wait_for(lambda: all(feature["enabled"] for feature in lab.list("features")),
             "features that all machines know")
    names = [lab.file(f"u{i}.service") for i in range(3)]
    lab.ctl("start", *names)
    lab.ctl("restart", "--rolling", *names)
    rollout = json.loads(lab.ctl("rollout", "status", "-o", "json", "u0.service").stdout)
    assert sorted(rollout["together"]) == names
