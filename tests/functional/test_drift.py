"""What somebody else does to a unit: reported, and with drift=restore undone."""
import json
import urllib.request

import pytest
from cluster import Cluster, service, wait_for

SHOWN = service()


@pytest.fixture(name="reporting", scope="module")
def _reporting():
    lab = Cluster(machines=1, conf=["drift=report"])
    yield lab
    lab.down()


@pytest.fixture(name="restoring", scope="module")
def _restoring():
    lab = Cluster(machines=1, conf=["drift=restore"])
    yield lab
    lab.down()


def drift(lab, unit):
    """What the API says of it."""
    with urllib.request.urlopen(f"http://{lab.ip['m1']}:49153/fleet/v1/state?unitName={unit}",
                                timeout=10) as answer:
        states = json.load(answer)["states"]
    return states[0].get("drift", "") if states else None


def wait_drift(lab, unit, expected):
    wait_for(lambda: drift(lab, unit) == expected, lambda: f"{unit}: {drift(lab, unit)!r}")


def test_a_unit_stopped_by_hand_is_reported_and_stays_stopped(reporting):
    lab = reporting
    lab.start("stopped.service", SHOWN)
    lab.run("m1", "systemctl", "stop", "stopped.service")
    wait_drift(lab, "stopped.service", "stopped by hand")
    assert not lab.is_active("m1", "stopped.service")
    lab.ctl("start", "stopped")
    wait_drift(lab, "stopped.service", "")
    assert lab.is_active("m1", "stopped.service")


def test_a_unit_that_ends_or_fails_by_itself_has_not_drifted(restoring):
    lab = restoring
    lab.file("ends.service", service("ExecStart=/bin/sleep 1"))
    lab.file("fails.service", service("ExecStart=/bin/sh -c 'sleep 1; exit 3'"))
    lab.ctl("start", "ends", "fails")
    wait_for(lambda: lab.states("ends.service") == {"m1": "inactive"}, "the end")
    wait_for(lambda: lab.states("fails.service") == {"m1": "failed"}, "the failure")
    assert drift(lab, "ends.service") == drift(lab, "fails.service") == ""
    runs = lab.runs()
    lab.start("later.service", SHOWN)
    lab.run("m1", "systemctl", "daemon-reload")
    after = lab.runs()
    assert {run: after[run] for run in runs} == runs


def test_a_unit_stopped_by_hand_is_started_again_where_that_is_wanted(restoring):
    lab = restoring
    lab.start("restored.service", SHOWN)
    before = lab.show("m1", "restored.service", "InvocationID")
    lab.run("m1", "systemctl", "stop", "restored.service")
    wait_for(lambda: lab.is_active("m1", "restored.service"), "it to run again")
    assert lab.show("m1", "restored.service", "InvocationID") != before
    wait_drift(lab, "restored.service", "")
    lab.ctl("stop", "restored")
    lab.run("m1", "systemctl", "daemon-reload")
    assert not lab.is_active("m1", "restored.service")


def test_a_restart_by_hand_is_no_drift(restoring):
    lab = restoring
    lab.start("again.service", SHOWN)
    lab.run("m1", "systemctl", "restart", "again.service")
    after = lab.show("m1", "again.service")
    assert drift(lab, "again.service") == "" and lab.show("m1", "again.service") == after


@pytest.mark.parametrize("restores", [False, True])
def test_an_edited_file_is_reported_or_written_anew_and_stops_nothing(reporting, restoring,
                                                                     restores):
    lab = restoring if restores else reporting
    lab.start("edited.service", SHOWN)
    run = lab.show("m1", "edited.service")
    lab.shell("m1", "echo '# mine' >> /run/fleet/units/edited.service; systemctl daemon-reload")
    if restores:
        wait_for(lambda: "# mine" not in lab.shell("m1", "cat /run/fleet/units/edited.service"),
                 "the file to be written anew")
        wait_drift(lab, "edited.service", "")
        wait_for(lambda: lab.show("m1", "edited.service", "NeedDaemonReload")
                 == {"NeedDaemonReload": "no"}, "systemd to have read it")
    else:
        wait_drift(lab, "edited.service", "its file was edited")
    assert lab.show("m1", "edited.service") == run


def test_a_masked_unit_is_reported(reporting):
    lab = reporting
    lab.start("masked.service", SHOWN)
    lab.run("m1", "systemctl", "mask", "masked.service")
    wait_drift(lab, "masked.service", "masked")
    assert lab.is_active("m1", "masked.service")
    lab.run("m1", "systemctl", "unmask", "masked.service")
    lab.run("m1", "systemctl", "daemon-reload")
    wait_drift(lab, "masked.service", "")
