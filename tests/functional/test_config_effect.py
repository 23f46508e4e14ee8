"""What keys of fleet.conf do, on a machine whose fleet.conf has many of them."""
import contextlib
import json
import subprocess

import pytest
from cluster import service, wait_for
from http_client import Api, api_of, configured, said, serves, unix_api_of, write

LAB = {"machines": 1, "ttl": 4, "conf": [
    "etcd_key_prefix=other/cluster", "engine_ttl=7s", "units_directory=/run/other/units",
    "state_directory=/var/lib/other/fleet", "engine_reconcile_interval=0.5", "events_max=5",
    "token_limit=3", "etcd_request_timeout=0.5", 'metadata=["zone=a", "disk=ssd"]',
    "disable_watches=true", "enable_grpc=true", "authorized_keys_file=/root/.ssh/keys",
    "verify_units=true",
    # Of these only that fleetd takes them:
    "mass_loss_hold=30s", "isolation_stop_timeout=4s", "disruption_budget=2", "reserved_cpu=10%",
    "reserved_memory=64M", "placement=spread", "rebalance=off", "drift=report", "reboot_slots=2"]}
PREFIX = "/other/cluster/"
pytestmark = pytest.mark.etcd


def test_etcd_key_prefix_is_where_everything_is_kept(lab):
    lab.start("a.service")
    assert f"{PREFIX}units/a.service" in lab.keys("/")
    assert all(key.startswith(PREFIX) for key in lab.keys("/"))


def lease_ttl(lab, key):
    """The TTL in seconds that the lease of a key was granted with."""
    def etcdctl(*arguments):
        return json.loads(subprocess.run(["etcdctl", *arguments, "-w", "json"], env=lab.env,
                                         text=True, capture_output=True, check=True,
                                         timeout=60).stdout)
    lease = etcdctl("get", key)["kvs"][0]["lease"]
    return etcdctl("lease", "timetolive", f"{lease:x}")["granted-ttl"]


def test_agent_ttl_and_engine_ttl_are_how_long_machine_and_leader_may_be_silent(lab):
    assert lease_ttl(lab, f"{PREFIX}machines/{lab.id['m1']}") == 4
    assert lease_ttl(lab, f"{PREFIX}leader") == 7


def test_units_directory_is_where_the_files_of_the_units_are(lab):
    text = service("# mine")
    lab.start("a.service", text)
    assert lab.run("m1", "cat", "/run/other/units/a.service") == text
    shown = lab.show("m1", "a.service", "FragmentPath", "ActiveState")
    assert shown["ActiveState"] == "active"
    target = lab.run("m1", "readlink", "-f", shown["FragmentPath"])
    assert target.strip() == "/run/other/units/a.service"
    assert lab.local_units("m1") == []
    lab.ctl("destroy", "a")
    assert lab.shell("m1", "ls /run/other/units") == ""


def test_state_directory_is_where_fleetd_keeps_what_is_its_own(lab):
    files = lab.shell("m1", "find /var/lib/other/fleet -type f").split()
    assert "/var/lib/other/fleet/identity" in files
    assert lab.shell("m1", "find /var/lib/fleet -type f") == ""


def test_engine_reconcile_interval_is_for_safety_and_what_happens_is_decided_at_once(lab):
    """Twice a second in this lab: nothing is ever left to decide. With once a day: the same."""
    lab.file("a.service", service(fleet=["MachineMetadata=late=yes"]))
    with configured(lab, "engine_reconcile_interval=86400") as api:
        lab.ctl("start", "a", status=6)
        change = {"path": f"/{lab.id['m1']}/metadata/late", "value": "yes"}
        assert api.patch({"op": "add", **change}).status == 204
        assert lab.wait_where("a.service") == "m1"
    assert api_of(lab).patch({"op": "remove", **change}).status == 204
    wait_for(lambda: not lab.is_active("m1", "a.service"), "it to go, that may not stay")
    assert "the sweep found" not in lab.journal("m1", lines=1000)


def test_events_max_is_how_many_events_are_kept(lab):
    names = [lab.file(f"u{number}.service") for number in range(4)]
    first = set(lab.keys(f"{PREFIX}events/"))
    for name in names:
        for verb in ("start", "unload", "start", "destroy"):
            lab.ctl(verb, name)
    wait_for(lambda: 0 < len(lab.keys(f"{PREFIX}events/")) <= 5,
             lambda: f"few events: {lab.keys(f'{PREFIX}events/')}")
    assert not first & set(lab.keys(f"{PREFIX}events/")), "the newest are kept"


def test_token_limit_is_how_many_entities_a_page_has(lab):
    api = api_of(lab)
    for number in range(4):
        api.put(f"u{number}.service")
    assert [len(api.get(path)["units"]) for path in ("units", "units?limit=4")] == [3, 4]


def test_metadata_are_what_units_ask_for(lab):
    assert api_of(lab).metadata(lab.id["m1"]) == {"zone": "a", "disk": "ssd"}
    assert lab.start("a.service", service(fleet=["MachineMetadata=zone=a"])) == "m1"
    lab.file("b.service", service(fleet=["MachineMetadata=zone=b"]))
    lab.ctl("start", "b", status=6)


def test_keys_without_effect_are_told_at_the_start(lab):
    for key in ("disable_watches", "enable_grpc", "authorized_keys_file", "verify_units"):
        assert any(key in line and "no effect" in line and "/etc/fleet/fleet.conf:" in line
                   for line in said(lab).splitlines()), key


def test_public_ip_is_what_others_are_shown(lab):
    with configured(lab, "public_ip=192.0.2.7") as api:
        assert [machine["primaryIP"] for machine in api.get("machines")["machines"]] == [
            "192.0.2.7"]
        assert "192.0.2.7" in lab.ctl("list-machines", "--fields=ip", "--no-legend").stdout


def test_verbosity_is_how_much_is_logged(lab):
    assert said(lab, priority="debug") == ""
    with configured(lab, "verbosity=1"):
        wait_for(lambda: said(lab, priority="debug"), "something to be logged")


def test_the_environment_of_the_service_wins(lab):
    drop_in = "/run/systemd/system/fleet.service.d/test.conf"
    write(lab, drop_in, "[Service]\nEnvironment=FLEET_TOKEN_LIMIT=1 'FLEET_METADATA=zone=c'\n")
    lab.run("m1", "systemctl", "daemon-reload")
    try:
        with configured(lab) as api:
            assert api.metadata(lab.id["m1"]) == {"zone": "c"}
            for number in range(3):
                api.put(f"u{number}.service")
            assert len(api.get("units")["units"]) == 1
    finally:
        lab.shell("m1", f"rm {drop_in}; systemctl daemon-reload; systemctl restart fleet")
        wait_for(lambda: serves(unix_api_of(lab)), "fleetd")


def test_etcd_request_timeout_is_how_long_an_answer_is_waited_for(lab):
    lab.lab("etcd", "pause")
    try:
        answer = api_of(lab).put("a.service")
        assert answer.status in (503, 504) and "500ms" in answer.error
    finally:
        lab.lab("etcd", "resume")
    lab.wait_members("m1")


def test_leave_timeout_is_told_when_units_need_longer(lab):
    lab.start("slow.service", service("ExecStart=/bin/sh -c 'trap \"\" TERM; sleep infinity'",
                                      "TimeoutStopSec=1", "KillMode=mixed"))
    with configured(lab, "leave_timeout=200ms"):
        lab.run("m1", "systemctl", "stop", "fleet")
        assert "leave_timeout (200ms)" in lab.journal("m1")
        assert not lab.is_active("m1", "slow.service"), "it waited all the same"
        lab.run("m1", "systemctl", "start", "fleet")
        lab.wait_members("m1")


def as_core(lab, *command, status=0):
    """Runs a command as the user core, with core's own systemd."""
    return lab.run("m1", "runuser", "-u", "core", "--", "env", "XDG_RUNTIME_DIR=/run/user/1000",
                   *command, status=status)


@contextlib.contextmanager
def cores_fleet(lab):
    """A fleetd of the user core's own, a machine by itself; its API, and where its units are."""
    lab.run("m1", "systemctl", "start", "user@1000.service")
    folder = "/run/user/1000/fleet"
    write(lab, f"{folder}.conf", f"systemd_user=true\nunits_directory={folder}/units\n"
          f"state_directory={folder}/state\nlisten=0.0.0.0:49300\nlisten_insecure=true\n")
    as_core(lab, "systemd-run", "--user", "--unit=fleet-user", "-p", "Type=notify",
            "-p", "NotifyAccess=main", "fleetd", "--config", f"{folder}.conf")
    try:
        api = Api((lab.ip["m1"], 49300))
        wait_for(lambda: serves(api), "core's fleetd")
        yield api, f"{folder}/units"
    finally:
        as_core(lab, "systemctl", "--user", "stop", "fleet-user.service", status=None)
        lab.run("m1", "systemctl", "stop", "user@1000.service")


def test_systemd_user_runs_units_in_the_users_systemd(lab):
    with cores_fleet(lab) as (api, units):
        assert api.put("own.service", "launched").status == 201
        wait_for(lambda: api.get("units/own.service")["currentState"] == "launched", "its unit")
        assert as_core(lab, "systemctl", "--user", "is-active", "own.service") == "active\n"
        assert not lab.is_active("m1", "own.service") and "own.service" not in lab.units()
        assert api.ask("DELETE", "units/own.service").status == 204
        wait_for(lambda: "own.service" not in lab.shell("m1", f"ls {units}"), "it to go")


def test_status_and_journal_ask_the_users_systemd(lab):
    """From the user's account, from root's on that machine, and over SSH."""
    text = service("ExecStartPre=/bin/true", "ExecStart=/bin/sh -c 'echo mine; exec sleep 1d'")
    with cores_fleet(lab) as (api, _):
        assert api.put("own.service", "launched", content=text).status == 201
        wait_for(lambda: api.get("units/own.service")["currentState"] == "launched", "its unit")

        def fleetctl(command):
            local = ["fleetctl", "--endpoint=http://127.0.0.1:49300", command, "own"]
            yield as_core(lab, *local)
            yield lab.run("m1", *local)
            yield lab.ctl("--endpoint", f"http://{lab.ip['m1']}:49300", command, "own").stdout
        for status in fleetctl("status"):
            assert "active (running)" in status and "/user@1000.service/" in status
        wait_for(lambda: all("mine" in journal for journal in fleetctl("journal")), "the journals")


def test_disable_engine_leaves_the_scheduling_to_others(new_lab):
    lab = new_lab(machines=2)
    with configured(lab, "disable_engine=true") as api:
        wait_for(lambda: lab.leader() == "m2", lambda: f"m2 to lead, not {lab.leader()}")
        lab.run("m2", "systemctl", "stop", "fleet")
        assert lab.leader() is None
        assert api.put("a.service", "launched").status == 201
        assert lab.leader() is None and "target" not in api.get("units/a.service")
        lab.run("m2", "systemctl", "start", "fleet")
        lab.wait_where("a.service", at="m1")
        assert lab.leader() == "m2"
    lab.run("m2", "systemctl", "stop", "fleet")
    wait_for(lambda: lab.leader() == "m1", "m1 to lead again")


def test_without_etcd_servers_the_registry_is_the_machines_own_and_the_log_says_so(lab):
    endpoint = lab.env["ETCDCTL_ENDPOINTS"]
    assert f"the registry is etcd at {endpoint}" in said(lab) and PREFIX in said(lab)
    lab.start("a.service")
    with configured(lab, "etcd_servers="):
        assert "the registry is embedded" in said(lab)
        assert "/var/lib/other/fleet/registry.db" in said(lab)
        assert lab.units() == {}
    assert list(lab.units()) == ["a.service"]
