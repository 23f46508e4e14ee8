"""fleetd itself: its service, and when it is ready."""
from cluster import wait_for
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
