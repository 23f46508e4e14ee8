"""OnIsolation=stop: a machine that is cut off stops such a unit before it is started elsewhere."""
import subprocess
import time

import pytest
from cluster import service, wait_for

# So that each run leaves when it began and when it was last seen to run, by the host's clock, which
# all machines share.
TICKS = ("ExecStart=/bin/sh -c 'while :; do date +%%s.%%N >> /var/tmp/%n.ticks; sleep 0.05; done'",)
SINGLETON = service(*TICKS, fleet=["OnIsolation=stop", "MachineMetadata=role=worker"])
KEPT = service(fleet=["MachineMetadata=role=worker"])
STOP_TIMEOUT = 2


@pytest.fixture(name="cut")
def _cut(new_lab):
    """A lab whose units run on m2, and could on m3."""
    lab = new_lab(metadata=["m2:role=worker"], conf=[f"isolation_stop_timeout={STOP_TIMEOUT}s"])
    lab.file("one.service", SINGLETON)
    lab.file("kept.service", KEPT)
    lab.ctl("start", "one", "kept")
    assert lab.where("one.service") == lab.where("kept.service") == "m2"
    lab.ctl("metadata", lab.id["m3"], "role=worker", status=None)
    subprocess.run(["curl", "-sf", "-X", "PATCH", "-H", "Content-Type: application/json", "-d",
                    f'[{{"op":"add","path":"/{lab.id["m3"]}/metadata/role","value":"worker"}}]',
                    f"http://{lab.ip['m1']}:49153/fleet/v1/machines"], check=True, timeout=30)
    return lab


def ticks(lab, machine):
    """When the unit was seen to run on a machine."""
    out = lab.shell(machine, "cat /var/tmp/one.service.ticks 2>/dev/null || true")
    return [float(line) for line in out.split()]


def wait_stopped(lab, machine="m2"):
    wait_for(lambda: lab.run(machine, "systemctl", "is-active", "one.service",
                             status=None).strip() in ("inactive", "failed", "unknown"),
             "the guard to stop the unit")


def check_one_after_the_other(lab, other):
    """It ran on m2 first, and elsewhere only after the last sign of it there."""
    assert ticks(lab, other)[0] > ticks(lab, "m2")[-1]


def test_it_stops_on_a_machine_that_is_cut_off_before_it_starts_elsewhere(cut):
    lab = cut
    lab.lab("partition", "m2")
    wait_stopped(lab)
    assert lab.is_active("m2", "kept.service")
    # Nobody can start it there, meanwhile.
    lab.run("m2", "systemctl", "start", "one.service", status=None)
    assert not lab.is_active("m2", "one.service")
    other = lab.wait_where("one.service", lambda machine: machine != "m2", at="m1")
    check_one_after_the_other(lab, other)
    lab.lab("heal", "m2")
    lab.wait_members("m1", "m2", "m3")
    assert lab.where("one.service") == other
    wait_for(lambda: "one.service" not in lab.local_units("m2"), "its tombstone")


def test_it_stops_also_when_fleetd_does_not_run(cut):
    lab = cut
    lab.run("m2", "systemctl", "kill", "--kill-whom=main", "-s", "STOP", "fleet.service")
    lab.lab("partition", "m2")
    wait_stopped(lab)
    assert lab.is_active("m2", "kept.service")
    other = lab.wait_where("one.service", lambda machine: machine != "m2", at="m1")
    check_one_after_the_other(lab, other)


def test_it_starts_again_on_a_machine_that_is_back_before_anybody_missed_it(cut):
    lab = cut
    before = lab.show("m2", "kept.service")
    # Its lease is renewed, but nothing else is heard: only the guard has noticed.
    lab.run("m2", "systemctl", "kill", "--kill-whom=main", "-s", "STOP", "fleet.service")
    lab.lab("partition", "m2")
    wait_stopped(lab)
    lab.lab("heal", "m2")
    lab.run("m2", "systemctl", "kill", "--kill-whom=main", "-s", "CONT", "fleet.service")
    lab.wait_members("m1", "m2", "m3")
    where = lab.wait_where("one.service")
    wait_for(lambda: lab.is_active(where, "one.service"), "it to run")
    assert [name for name in lab.machines if lab.is_active(name, "one.service")] == [where]
    if lab.where("kept.service") == "m2":
        assert lab.show("m2", "kept.service") == before


def test_without_its_guard_it_is_not_started(new_lab):
    lab = new_lab(machines=2)
    for machine in lab.machines:
        # One that hangs from its start.
        lab.shell(machine, "mkdir -p /run/systemd/system/fleet-guard.service.d; printf '[Service]\\n"
                  "Type=exec\\nExecStart=\\nExecStart=/bin/sleep infinity\\n' "
                  "> /run/systemd/system/fleet-guard.service.d/hangs.conf; systemctl daemon-reload; "
                  "systemctl kill -s KILL fleet-guard.service")
    lab.file("one.service", service(fleet=["OnIsolation=stop"]))
    done = lab.ctl("start", "--timeout=20s", "one", status=None)
    assert done.returncode != 0 and "fleet-guard" in done.stdout + done.stderr
    assert [name for name in lab.machines if lab.is_active(name, "one.service")] == []


def test_a_guard_that_is_killed_comes_back_and_keeps_its_deadline(cut):
    lab = cut
    lab.lab("partition", "m2")
    lab.run("m2", "systemctl", "kill", "-s", "KILL", "fleet-guard.service")
    began = time.monotonic()
    wait_stopped(lab)
    assert time.monotonic() - began < lab.ttl + STOP_TIMEOUT + 5
    other = lab.wait_where("one.service", lambda machine: machine != "m2", at="m1")
    check_one_after_the_other(lab, other)
