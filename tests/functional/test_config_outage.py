"""What fleetd says and does while its registry cannot be reached."""
import pytest
from cluster import service, wait_for
from http_client import api_of, said, serves, unix_api_of

LAB = {"machines": 1, "ttl": 2}
pytestmark = pytest.mark.etcd
UNABLE = "fleet server unable to communicate with etcd"
MONITOR = "Server monitor triggered: Monitor timed out before successful heartbeat"


@pytest.fixture(name="outage")
def outages(lab):
    """The lab, whose etcd is there again afterwards."""
    yield lab
    lab.lab("etcd", "start")
    lab.wait_members("m1")


def test_the_monitor_tells_of_a_ttl_without_the_registry_and_units_run_on(outage):
    lab = outage
    lab.start("runs.service")
    run, fleetd = lab.show("m1", "runs.service"), lab.show("m1", "fleet.service")
    assert MONITOR not in said(lab)
    lab.lab("etcd", "stop")
    told = wait_for(lambda: [line for line in said(lab, priority="err").splitlines()
                             if line.startswith(MONITOR)], "the monitor")
    assert lab.env["ETCDCTL_ENDPOINTS"] in told[0]
    assert lab.show("m1", "runs.service") == run and lab.show("m1", "fleet.service") == fleetd


def test_a_change_is_unavailable_with_the_cause_and_when_to_try_again(outage):
    lab = outage
    api = api_of(lab)
    assert api.put("before.service").status == 201
    lab.lab("etcd", "stop")
    operation = {"op": "add", "path": f"/{lab.id['m1']}/metadata/x", "value": "1"}
    for answer in (api.put("after.service", "launched"), api.ask("DELETE", "units/before.service"),
                   api.ask("PUT", "units/before.service", {"desiredState": "loaded"}),
                   api.patch(operation)):
        assert answer.status == 503 and answer.error.startswith(UNABLE)
        assert lab.env["ETCDCTL_ENDPOINTS"].removeprefix("http://") in answer.error
        assert int(answer.headers["retry-after"]) >= 1
    lab.lab("etcd", "start")
    lab.wait_members("m1")
    assert {name: unit["desiredState"] for name, unit in api.units().items()} == {
        "before.service": "inactive"}, "what was refused is not done later"
    assert api.metadata(lab.id["m1"]) == {}


def test_reads_go_on_with_one_line_that_they_may_be_old(outage):
    lab = outage
    api = api_of(lab)
    lab.start("runs.service")
    reads = [["list-units"], ["list-unit-files"], ["list-machines"], ["cat", "runs"]]
    fresh = [lab.ctl(*words) for words in reads]
    assert [done.stderr for done in fresh] == [""] * len(reads)
    assert "warning" not in api.ask("GET", "units").headers
    assert api.ask("GET", "/readyz").status == 200
    lab.lab("etcd", "stop")
    wait_for(lambda: api.ask("GET", "/readyz").status == 503, "fleetd to miss etcd")
    for words, before in zip(reads, fresh, strict=True):
        done = lab.ctl(*words)
        assert done.stdout == before.stdout, "what was seen last is shown"
        (line,) = done.stderr.splitlines()
        assert line.startswith("Warning: the registry has not been heard from for ")
        assert lab.env["ETCDCTL_ENDPOINTS"] in line
    assert api.ask("GET", "units").headers["warning"].startswith('110 fleetd "the registry has not')
    lab.lab("etcd", "start")
    wait_for(lambda: api.ask("GET", "/readyz").status == 200, "fleetd to hear from etcd")
    assert [lab.ctl(*words).stderr for words in reads] == [""] * len(reads)
    assert "warning" not in api.ask("GET", "units").headers


def test_before_it_has_joined_everything_is_unavailable_but_what_needs_no_registry(outage):
    lab = outage
    lab.start("runs.service", service(install=["WantedBy=multi-user.target"]))
    run = lab.show("m1", "runs.service")
    lab.lab("etcd", "stop")
    lab.run("m1", "systemctl", "restart", "fleet")
    assert lab.show("m1", "fleet", "ActiveState") == {"ActiveState": "active"}, "READY=1 was sent"
    unix = unix_api_of(lab)
    for api in (unix, api_of(lab)):
        for method, path, body in (
                ("GET", "units", None), ("GET", "units/runs.service", None), ("GET", "state", None),
                ("GET", "machines", None), ("PATCH", "machines", []), ("GET", "/readyz", None),
                ("PUT", "units/x.service", {"desiredState": "inactive"}),
                ("DELETE", "units/runs.service", None), ("HEAD", "units", None)):
            answer = api.ask(method, path, body)
            assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1, (method, path)
            assert method == "HEAD" or answer.error.startswith(UNABLE)
        assert api.ask("GET", "discovery").status == 200
        assert api.ask("GET", "none").status == 404
        assert api.ask("POST", "units", {}).status == 405
        assert api.ask("GET", "/healthz").status == 200
    assert lab.show("m1", "runs.service") == run
    lab.lab("etcd", "start")
    wait_for(lambda: serves(unix), "it to join by itself")
    assert [unit["currentState"] for unit in unix.units().values()] == ["launched"]
    assert lab.show("m1", "runs.service") == run


def test_a_restart_while_the_registry_is_away_ends_well(outage):
    """However fleetd ends, systemd is not told of a failure, and the units run on."""
    lab = outage
    lab.start("runs.service")
    run = lab.show("m1", "runs.service")
    lab.lab("etcd", "stop")
    for command in (["systemctl", "restart", "fleet"],
                    ["systemctl", "kill", "-s", "TERM", "fleet"]):
        pid = lab.show("m1", "fleet", "MainPID")
        lab.run("m1", *command)
        wait_for(lambda: lab.is_active("m1", "fleet")
                 and lab.show("m1", "fleet", "MainPID") != pid, "a new fleetd")
        assert lab.show("m1", "runs.service") == run
    ended = lab.run("m1", "journalctl", "-b", "-u", "fleet", "-o", "cat")
    assert "Failed with result" not in ended and "Main process exited" not in ended


def test_stop_ends_well_while_the_registry_does_not_answer(outage):
    """Nobody hears the goodbye: what runs is stopped here, and the lease ends by itself."""
    lab = outage
    lab.start("runs.service")
    lab.lab("etcd", "pause")
    try:
        lab.run("m1", "systemctl", "stop", "fleet")
        assert lab.show("m1", "fleet", "Result", "ActiveState") == {
            "Result": "success", "ActiveState": "inactive"}
        assert not lab.is_active("m1", "runs.service") and lab.local_units("m1") == []
    finally:
        lab.lab("etcd", "resume")
        lab.run("m1", "systemctl", "start", "fleet")
    assert lab.wait_where("runs.service") == "m1"
