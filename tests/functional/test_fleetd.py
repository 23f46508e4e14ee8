"""fleetd itself: its service, when it is ready, and one machine without etcd."""
from cluster import service, wait_for
from http_client import api_of, fleetd_pid, said

LAB = {"machines": 1, "ttl": 3}


def test_the_service_and_the_socket_are_what_users_of_systemd_expect(lab):
    assert lab.show("m1", "fleet.service", "Type", "Restart", "RestartUSec", "KillMode",
                    "NotifyAccess", "User", "UnitFileState") == {
        "Type": "notify", "Restart": "always", "RestartUSec": "500ms", "KillMode": "process",
        "NotifyAccess": "main", "User": "", "UnitFileState": "enabled"}
    assert lab.show("m1", "fleet.socket", "SocketMode", "SocketUser", "SocketGroup", "Listen",
                    "ActiveState", "UnitFileState") == {
        "SocketMode": "0660", "SocketUser": "root", "SocketGroup": "fleet",
        "Listen": "/run/fleet.sock (Stream)", "ActiveState": "active", "UnitFileState": "enabled"}
    assert lab.run("m1", "pidof", "fleetd").strip() == fleetd_pid(lab)
    assert lab.run("m1", "cat", f"/proc/{fleetd_pid(lab)}/comm") == "fleetd\n"


def test_stop_of_fleetd_stops_its_units_and_the_socket(lab):
    lab.start("runs.service")
    lab.run("m1", "systemctl", "stop", "fleet")
    try:
        assert lab.show("m1", "fleet", "Result", "ActiveState") == {
            "Result": "success", "ActiveState": "inactive"}
        assert not lab.is_active("m1", "runs.service") and not lab.is_active("m1", "fleet.socket")
        assert lab.shell("m1", "ls /run/systemd/system/runs.service", status=2) == ""
    finally:
        lab.run("m1", "systemctl", "start", "fleet")
    assert lab.wait_where("runs.service") == "m1"


def test_sigint_is_no_reason_to_stop_units(lab):
    """Only systemd's stop job is."""
    lab.start("runs.service")
    run, pid = lab.show("m1", "runs.service"), fleetd_pid(lab)
    lab.run("m1", "systemctl", "kill", "-s", "INT", "fleet")
    wait_for(lambda: fleetd_pid(lab) not in ("0", pid), "a new fleetd")
    lab.wait_members("m1")
    assert lab.show("m1", "runs.service") == run


def test_the_start_tells_version_machine_and_registry(lab):
    version = lab.run("m1", "fleetd", "--version").split()[-1]
    start = said(lab, priority="info")
    assert f"fleetd {version} is ready on machine {lab.id['m1']}" in start
    assert "the registry is " in start
    status = lab.show("m1", "fleet", "StatusText")["StatusText"]
    assert lab.id["m1"] in status


def test_the_machine_id_is_read_at_each_start(new_lab):
    lab = new_lab(machines=1)
    other = "0123456789abcdef0123456789abcdef"
    lab.run("m1", "systemctl", "stop", "fleet")
    lab.shell("m1", f"echo {other} > /etc/machine-id; systemctl start fleet")
    wait_for(lambda: lab.members() == {other}, lambda: f"members {lab.members()}")
    lab.shell("m1", "systemctl restart fleet")
    wait_for(lambda: lab.members() == {other}, lambda: f"members {lab.members()}")


def test_a_wrong_configuration_keeps_fleetd_from_starting_with_a_reason(new_lab):
    lab = new_lab(machines=1)
    lab.run("m1", "fleetd", "--check-config")
    lab.shell("m1", "echo agent_tll=5s >> /etc/fleet/fleet.conf")
    lab.run("m1", "systemctl", "restart", "fleet", status=1)
    assert 'did you mean "agent_ttl"' in lab.journal("m1")


def test_fleetd_is_ready_without_etcd_and_says_what_is_missing(new_lab):
    lab = new_lab(machines=1)
    lab.run("m1", "systemctl", "stop", "fleet")
    lab.lab("etcd", "stop")
    lab.run("m1", "systemctl", "start", "fleet")
    assert lab.is_active("m1", "fleet")
    api = api_of(lab)
    assert api.ask("GET", "units").error.startswith("fleet server unable to communicate with etcd")
    wait_for(lambda: lab.env["ETCDCTL_ENDPOINTS"] in api.ask("GET", "units").error,
             lambda: f"the endpoint to be named: {api.ask('GET', 'units')}")
    for verb in (["list-units"], ["list-machines"], ["destroy", "x"]):
        said = lab.ctl(*verb, status=1).stderr
        assert "fleet server unable to communicate with etcd" in said
    lab.file("a.service")
    lab.ctl("start", "a", status=1)
    lab.lab("etcd", "start")
    lab.wait_members("m1")
    assert lab.units() == {}, "what was refused is not done later"
    lab.ctl("start", "a")


def test_the_lease_is_kept_over_a_restart(new_lab):
    lab = new_lab(machines=1)
    key = f"/fleet/machines/{lab.id['m1']}"
    before = lab.created(key)
    assert list(before) == [key]
    for command in ("systemctl restart fleet", "systemctl kill -s KILL fleet"):
        pid = lab.show("m1", "fleet", "MainPID")
        lab.shell("m1", command)
        wait_for(lambda: lab.is_active("m1", "fleet")
                 and lab.show("m1", "fleet", "MainPID") != pid, "a new fleetd")
        lab.wait_members("m1")
        assert lab.created(key) == before


def test_one_machine_without_etcd_does_the_same(new_lab):
    lab = new_lab(machines=1, etcd="none")
    lab.start("plain.service", service(install=["WantedBy=multi-user.target"]))
    lab.file("inst@.service", service(fleet=["Conflicts=%p@*.service"]))
    lab.ctl("submit", "inst@.service")
    lab.ctl("start", "inst@1")
    assert "inst@1.service" in lab.ctl("start", "inst@2", status=6).stderr
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.ctl("start", "every")
    lab.file("loaded.service")
    lab.ctl("load", "loaded")
    wait_for(lambda: lab.active("every.service"), "the global unit")
    runs, units = lab.runs(), lab.units()

    pid = lab.show("m1", "fleet", "MainPID")
    lab.run("m1", "systemctl", "kill", "-s", "KILL", "fleet")
    wait_for(lambda: lab.is_active("m1", "fleet")
             and lab.show("m1", "fleet", "MainPID") != pid, "a new fleetd")
    lab.wait_members("m1")
    assert lab.runs() == runs and lab.units() == units

    lab.lab("crash", "m1")
    lab.lab("boot", "m1")
    lab.wait_members("m1")
    for name in ("plain.service", "inst@1.service", "every.service"):
        assert lab.wait_where(name) == "m1"
        assert lab.is_active("m1", name)
    assert not lab.is_active("m1", "loaded.service") and "loaded.service" in lab.local_units("m1")
    assert {name: unit["desiredState"] for name, unit in lab.units().items()} == {
        name: unit["desiredState"] for name, unit in units.items()}

    lab.ctl("destroy", "inst@1")
    assert lab.wait_where("inst@2.service") == "m1"
    lab.ctl("destroy", "*")
    assert lab.units() == {} and lab.local_units("m1") == []
