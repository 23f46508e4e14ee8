"""scale, rolling updates and restarts: on real machines, and how they end."""
import json

import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 3}
TEMPLATE = "web@.service"


def text(version, *lines):
    return service(f"Environment=VERSION={version}", *lines, fleet=["HealthyAfter=300ms"])


def instances(lab):
    return sorted(unit for unit in lab.units() if unit != TEMPLATE)


def hashes(lab):
    return {unit["hash"] for name, unit in lab.units().items() if name != TEMPLATE}


def rollout(lab):
    return json.loads(lab.ctl("rollout", "status", TEMPLATE, "-o", "json").stdout)


def test_a_template_is_scaled_and_planned_alike(lab):
    lab.file(TEMPLATE, text(1))
    done = lab.ctl("scale", TEMPLATE, "3")
    assert done.stdout.count("launched on") == 3
    assert instances(lab) == [f"web@{number}.service" for number in (1, 2, 3)]
    lab.start("web@9.service", text(1))
    planned = json.loads(lab.ctl("plan", "scale", TEMPLATE, "1", "-o", "json", status=1).stdout)
    assert [(change["change"], change["unit"]) for change in planned["changes"]] == [
        ("stop", "web@2.service"), ("stop", "web@3.service")]
    done = lab.ctl("scale", TEMPLATE, "1")
    assert sorted(done.stdout.splitlines()[1:]) == ["Destroyed web@2.service",
                                                    "Destroyed web@3.service"]
    assert instances(lab) == ["web@1.service", "web@9.service"]
    # One that is destroyed comes back; with the template those go that it has made.
    lab.ctl("destroy", "web@1.service")
    wait_for(lambda: lab.where("web@1.service"), "web@1.service does not come back")
    lab.ctl("destroy", TEMPLATE)
    wait_for(lambda: instances(lab) == ["web@9.service"], lambda: instances(lab))


def test_an_update_goes_from_one_to_the_next_and_can_be_undone(lab):
    lab.file(TEMPLATE, text(1))
    lab.ctl("scale", TEMPLATE, "4")
    first = hashes(lab)
    lab.file(TEMPLATE, text(2))
    done = lab.ctl("update", TEMPLATE, "--max-unavailable=2")
    assert done.stdout == f"Updated {TEMPLATE}: 4 units\n"
    assert hashes(lab).isdisjoint(first)
    runs = lab.runs()
    lab.ctl("restart", TEMPLATE, "--max-unavailable=50%")
    assert all(run != runs[key] for key, run in lab.runs().items())
    lab.ctl("rollout", "undo", TEMPLATE)
    wait_for(lambda: rollout(lab)["state"] == "done", lambda: rollout(lab))
    assert hashes(lab) == first
    assert [each["how"] for each in rollout(lab)["history"]] == ["undo", "update"]


def test_a_text_that_fails_pauses_or_is_taken_back(lab):
    lab.file(TEMPLATE, text(1))
    lab.ctl("scale", TEMPLATE, "3")
    first = hashes(lab)
    lab.file(TEMPLATE, text(2, "ExecStartPre=/bin/false"))
    done = lab.ctl("update", TEMPLATE, status=1)
    assert "is paused: web@1.service has failed" in done.stderr
    assert len(hashes(lab)) == 2
    assert "supersede" in lab.ctl("update", TEMPLATE, status=1).stderr
    lab.ctl("rollout", "undo", TEMPLATE)
    wait_for(lambda: rollout(lab)["state"] == "done", lambda: rollout(lab))
    assert hashes(lab) == first
    done = lab.ctl("update", TEMPLATE, "--rollback-on-failure", status=1)
    assert "was rolled back: web@1.service has failed" in done.stderr
    assert hashes(lab) == first
    assert rollout(lab)["state"] == "failed"


@pytest.mark.machines(2)
def test_an_update_goes_on_when_its_client_and_the_leader_leave(lab):
    lab.file(TEMPLATE, text(1))
    lab.ctl("scale", TEMPLATE, "4")
    first = hashes(lab)
    lab.file(TEMPLATE, text(2))
    lab.ctl("update", TEMPLATE, "--no-block")
    lab.run(lab.leader(), "systemctl", "restart", "fleet")
    # The machine that is asked may not have read the registry yet.
    wait_for(lambda: lab.ctl("rollout", "status", TEMPLATE, status=None).returncode == 0,
             "an answer after the restart")
    wait_for(lambda: rollout(lab)["state"] == "done", lambda: rollout(lab))
    assert hashes(lab).isdisjoint(first)
