"""fleetd itself: its configuration, when it is ready, and one machine without etcd."""
import json
import subprocess

import pytest
from cluster import BIN, service, wait_for


def check_config(path, **environment):
    return subprocess.run([str(BIN / "fleetd"), "--check-config", "--config", str(path)],
                          env=environment, text=True, capture_output=True, timeout=60,
                          check=False)


@pytest.fixture(name="conf")
def configuration(tmp_path):
    def write(text):
        path = tmp_path / "fleet.conf"
        path.write_text(text)
        return path
    return write


def test_check_config_shows_what_is_in_effect_and_where_it_comes_from(conf):
    path = conf("# comment\nagent_ttl=5s\nmetadata=\"zone=a\"\n")
    done = check_config(path, FLEET_AGENT_TTL="7s")
    assert done.returncode == 0, done.stderr
    shown = {line.split("=")[0]: line for line in done.stdout.splitlines()}
    assert "7s" in shown["agent_ttl"] and "environment" in shown["agent_ttl"]
    assert "zone=a" in shown["metadata"] and f"{path}:3" in shown["metadata"]
    assert "default" in shown["etcd_key_prefix"]


def test_check_config_prints_no_secret(conf):
    done = check_config(conf("etcd_username=u\netcd_password=geheim\n"
                             "etcd_servers=http://127.0.0.1:2379\n"))
    assert done.returncode == 0 and "etcd_password" in done.stdout
    assert "geheim" not in done.stdout + done.stderr


@pytest.mark.parametrize("text, said", [
    ("\nagent_tll=5s\n", [":2:", "agent_tll", 'did you mean "agent_ttl"']),
    ("agent_ttl=soon\n", [":1:", "agent_ttl", "soon"]),
    ("agent_ttl=1s\n", ["agent_ttl", "2s"]),
    ("etcd_servers=ftp://x\n", [":1:", "etcd_servers"]),
    ("just words\n", [":1:"]),
    ("metadata=novalue\n", [":1:", "metadata"]),
    ("listen=0.0.0.0:49153\n", ["listen", "listen_insecure"]),
], ids=lambda value: value.strip() if isinstance(value, str) else "")
def test_a_wrong_configuration_is_refused_with_its_line(conf, text, said):
    done = check_config(conf(text))
    assert done.returncode != 0
    assert all(word in done.stderr for word in said), done.stderr


def test_a_configuration_that_is_not_there(tmp_path):
    done = check_config(tmp_path / "none.conf")
    assert done.returncode != 0 and "none.conf" in done.stderr


@pytest.mark.parametrize("flag", ["--version", "-version"])
def test_version(flag):
    done = subprocess.run([str(BIN / "fleetd"), flag], text=True, capture_output=True,
                          timeout=60, check=True)
    assert done.stdout.startswith("fleetd version ")


def test_a_wrong_configuration_keeps_fleetd_from_starting_with_a_reason(new_lab):
    lab = new_lab(machines=1)
    lab.run("m1", "fleetd", "--check-config")
    lab.shell("m1", "echo agent_tll=5s >> /etc/fleet/fleet.conf")
    lab.run("m1", "systemctl", "restart", "fleet", status=1)
    assert 'did you mean "agent_ttl"' in lab.journal("m1")


def api(lab, machine, path):
    """(status, headers, body) of a GET."""
    out = subprocess.run(["curl", "-s", "-i", f"http://{lab.ip[machine]}:49153{path}"], text=True,
                         capture_output=True, timeout=60, check=True).stdout
    head, body = out.replace("\r\n", "\n").split("\n\n", 1)
    return int(head.split()[1]), head.lower(), body


def test_fleetd_is_ready_without_etcd_and_says_what_is_missing(new_lab):
    lab = new_lab(machines=1)
    lab.run("m1", "systemctl", "stop", "fleet")
    lab.lab("etcd", "stop")
    lab.run("m1", "systemctl", "start", "fleet")
    assert lab.is_active("m1", "fleet")
    status, head, body = api(lab, "m1", "/fleet/v1/units")
    assert status == 503 and "retry-after" in head
    assert json.loads(body)["error"]["message"].startswith(
        "fleet server unable to communicate with etcd")
    wait_for(lambda: lab.env["ETCDCTL_ENDPOINTS"] in api(lab, "m1", "/fleet/v1/units")[2],
             lambda: f"the endpoint to be named: {api(lab, 'm1', '/fleet/v1/units')}")
    for verb in (["list-units"], ["list-machines"], ["destroy", "x"]):
        said = lab.ctl(*verb, status=1).stderr
        assert "fleet server unable to communicate with etcd" in said
    lab.file("a.service")
    lab.ctl("start", "a", status=1)
    lab.lab("etcd", "start")
    lab.wait_members("m1")
    assert lab.units() == {}, "what was refused is not done later"
    lab.ctl("start", "a")


def test_a_second_machine_with_the_same_id_does_not_join(new_lab):
    lab = new_lab(machines=2)
    lab.run("m2", "systemctl", "stop", "fleet")
    lab.shell("m2", f"echo {lab.id['m1']} > /etc/machine-id")
    lab.run("m2", "systemctl", "start", "fleet")
    assert lab.is_active("m2", "fleet")
    status, _, body = wait_for(
        lambda: (lambda answer: answer if lab.ip["m1"] in answer[2] else None)(
            api(lab, "m2", "/fleet/v1/units")), "m2 to name the other machine with its id")
    assert status == 503
    assert json.loads(body)["error"]["message"].startswith(
        "fleet server unable to communicate with etcd")
    assert lab.members(at="m1") == {"m1"}


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
