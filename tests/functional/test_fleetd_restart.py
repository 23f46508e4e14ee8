"""fleetd and etcd may come and go; what runs keeps running, as the same processes."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 3}


def populate(lab):
    """Units of each kind, and what systemd says of them once all run."""
    files = {
        "plain.service": service(),
        "enabled.service": service(install=["WantedBy=multi-user.target"]),
        "once.service": service("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"),
        "again.service": service("Restart=always"),
        "beside.service": service(fleet=["MachineOf=plain.service"]),
        "inst@.service": service(fleet=["Conflicts=%p@*.service"]),
        "every.service": service(fleet=["Global=true"]),
    }
    for name, content in files.items():
        lab.file(name, content)
    lab.ctl("submit", "inst@.service")
    instances = [f"inst@{i + 1}" for i in range(len(lab.machines))]
    lab.ctl("start", *(name for name in files if "@" not in name), *instances)
    wait_for(lambda: lab.active("every.service") == lab.machines, "the global unit")
    runs = lab.runs()
    assert len(runs) == 5 + 2 * len(lab.machines) and all(run["ActiveState"] == "active" for run in runs.values())
    return runs


def restarted(lab, machine, *command):
    """Runs a command that ends fleetd, and waits until a new one serves and is a member."""
    before = lab.show(machine, "fleet.service", "MainPID")
    lab.run(machine, *command)
    wait_for(lambda: lab.is_active(machine, "fleet.service")
             and lab.show(machine, "fleet.service", "MainPID") != before, "a new fleetd")
    lab.wait_members(*lab.machines, at=machine)


def assert_works(lab, machine):
    """fleet still does its work on this machine."""
    lab.file("proof.service", service(fleet=[f"MachineID={lab.id[machine]}"]))
    lab.ctl("start", "proof", at=machine)
    assert lab.where("proof.service") == machine
    lab.ctl("destroy", "proof", at=machine)


@pytest.mark.parametrize("command", [["systemctl", "kill", "-s", "KILL", "fleet"],
                                     ["systemctl", "kill", "-s", "TERM", "fleet"],
                                     ["systemctl", "restart", "fleet"]],
                         ids=["kill -9", "kill", "restart"])
def test_units_keep_running_when_fleetd_is_started_again(lab, command):
    runs = populate(lab)
    members = lab.created("/fleet/machines/")
    assignments = lab.keys("/fleet/assignments/")
    for machine in lab.machines:
        restarted(lab, machine, *command)
        assert lab.runs() == runs
    assert_works(lab, lab.machines[-1])
    assert lab.runs() == runs
    assert lab.created("/fleet/machines/") == members, "a machine left and joined again"
    assert assignments.items() <= lab.keys("/fleet/assignments/").items()


def test_units_that_are_stopped_or_changed_meanwhile_are_told_afterwards(lab):
    """What ended while no fleetd watched is reported by the next one."""
    machine = lab.start("ends.service")
    lab.shell(machine, "systemctl kill -s KILL fleet; systemctl kill -s KILL ends.service")
    wait_for(lambda: lab.states("ends.service") == {machine: "failed"},
             lambda: f"{lab.states('ends.service')}")


@pytest.mark.machines(3)
def test_stop_moves_the_units_away_and_start_brings_the_machine_back(lab):
    lab.file("pinned.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    names = [lab.file(f"u{i}.service") for i in range(6)]
    lab.ctl("start", *names, "pinned")
    unit = next(name for name in names if lab.where(name) == "m2")
    runs = lab.runs("m1", "m3")
    lab.run("m2", "systemctl", "stop", "fleet")
    try:
        assert lab.show("m2", "fleet.service", "Result")["Result"] == "success"
        assert lab.members(at="m1") == {"m1", "m3"}
        assert not lab.is_active("m2", unit) and not lab.is_active("m2", "pinned.service")
        assert lab.wait_where(unit, at="m1") in ("m1", "m3")
        assert lab.active("pinned.service", at="m1") == []
    finally:
        lab.run("m2", "systemctl", "start", "fleet")
    lab.wait_members("m1", "m2", "m3")
    assert lab.wait_where("pinned.service") == "m2"
    after = lab.runs("m1", "m3")
    assert {run: after[run] for run in runs} == runs


def etcd_away(lab, rounds):
    """Stops etcd until each fleetd has noticed, `rounds` TTLs long as its own leases count."""
    lab.lab("etcd", "stop")
    since = lab.shell("m1", "cut -d' ' -f1 /proc/uptime")
    wait_for(lambda: float(lab.shell("m1", "cut -d' ' -f1 /proc/uptime"))
             > float(since) + rounds * lab.ttl, "time to pass", 60 + rounds * lab.ttl)


def check_etcd_outage(lab, rounds):
    runs = populate(lab)
    pids = {machine: lab.show(machine, "fleet.service", "MainPID") for machine in lab.machines}
    where = {name: unit.get("target") for name, unit in lab.units().items()}
    etcd_away(lab, rounds)
    try:
        assert lab.runs() == runs
        lab.file("refused.service")
        refused = lab.ctl("start", "refused", status=1).stderr
        assert lab.env["ETCDCTL_ENDPOINTS"] in refused
    finally:
        lab.lab("etcd", "start")
    lab.wait_members(*lab.machines)
    wait_for(lambda: lab.active("every.service") == lab.machines, "the states to be told again")
    assert_works(lab, "m3")
    assert lab.runs() == runs
    assert {name: unit.get("target") for name, unit in lab.units().items()} == where
    assert {machine: lab.show(machine, "fleet.service", "MainPID")
            for machine in lab.machines} == pids


@pytest.mark.etcd
def test_an_etcd_that_is_away_for_longer_than_the_ttl_stops_and_moves_nothing(lab):
    check_etcd_outage(lab, 3)


@pytest.mark.etcd
@pytest.mark.long
def test_an_etcd_that_is_away_for_a_minute_stops_and_moves_nothing(lab):
    check_etcd_outage(lab, 20)


@pytest.mark.etcd
def test_units_keep_running_when_fleetd_restarts_while_etcd_is_away(lab):
    runs = populate(lab)
    lab.lab("etcd", "stop")
    try:
        before = lab.show("m1", "fleet.service", "MainPID")
        lab.run("m1", "systemctl", "restart", "fleet")
        assert lab.is_active("m1", "fleet.service")
        assert lab.show("m1", "fleet.service", "MainPID") != before
        assert lab.runs() == runs
    finally:
        lab.lab("etcd", "start")
    lab.wait_members(*lab.machines)
    assert_works(lab, "m1")
    assert lab.runs() == runs


@pytest.mark.etcd
def test_stop_while_etcd_is_away_stops_the_units_and_ends(lab):
    lab.file("local.service", service(fleet=[f"MachineID={lab.id['m3']}"]))
    lab.ctl("start", "local")
    lab.lab("etcd", "stop")
    try:
        lab.run("m3", "systemctl", "stop", "fleet")
        assert lab.show("m3", "fleet.service", "Result")["Result"] == "success"
        assert not lab.is_active("m3", "local.service")
    finally:
        lab.lab("etcd", "start")
        lab.run("m3", "systemctl", "start", "fleet")
    lab.wait_members(*lab.machines)
    assert lab.wait_where("local.service") == "m3"
