"""fleetctl --driver=etcd: the registry used without any fleetd. This etcd speaks TLS with client
certificates, and asks for a login."""
import os
import signal
import subprocess
from pathlib import Path

import pytest
from cluster import BIN, service, wait_for
from http_client import make_authority, make_certificate

LAB = {"machines": 1, "ttl": 3, "etcd": "1", "up": ["--etcd-tls", "--etcd-auth", "fleet:sesame"]}

REFUSED = "https://127.0.0.1:1"


def variables(lab):
    """What names and opens the registry."""
    return {"FLEETCTL_DRIVER": "etcd", "FLEETCTL_ENDPOINT": lab.env["ETCDCTL_ENDPOINTS"],
            "FLEETCTL_CA_FILE": lab.env["ETCDCTL_CACERT"],
            "FLEETCTL_CERT_FILE": lab.env["ETCDCTL_CERT"],
            "FLEETCTL_KEY_FILE": lab.env["ETCDCTL_KEY"],
            "FLEETCTL_ETCD_USERNAME": "fleet", "FLEETCTL_ETCD_PASSWORD": "sesame"}


@pytest.fixture
def etcd(lab):
    """fleetctl that knows etcd only; `env` changes how."""
    def ctl(*words, env=None, **options):
        return lab.ctl(*words, env={**variables(lab), **(env or {})}, **options)
    return ctl


def test_every_command_works_with_the_registry_alone(lab, etcd):
    said = service("ExecStart=/bin/sh -c 'echo here I am; exec sleep infinity'",
                   "ExecStartPre=/bin/true")
    lab.file("talks.service", said)
    assert "Unit talks.service launched on" in etcd("start", "talks").stdout
    for words in (["list-machines", "-l"], ["list-units", "-l"], ["list-unit-files", "-l"],
                  ["cat", "talks"]):
        assert etcd(*words).stdout == lab.ctl(*words).stdout
    assert "active (running)" in etcd("status", "talks").stdout
    wait_for(lambda: "here I am" in etcd("journal", "talks").stdout, "the journal")
    assert etcd("ssh", "talks", "exit 5", status=5).stderr == ""
    etcd("backup", "saved.json")
    etcd("destroy", "talks")
    assert lab.units() == {}
    etcd("restore", "saved.json")
    assert etcd("cat", "talks").stdout == said


def test_units_are_registered_while_no_fleetd_runs(lab, etcd):
    lab.run("m1", "systemctl", "stop", "fleet.socket", "fleet.service")
    try:
        lab.file("early.service")
        assert etcd("list-machines", "--no-legend").stdout == ""
        assert etcd("start", "--no-block", "early").stdout == (
            "Triggered unit early.service start\n")
    finally:
        lab.run("m1", "systemctl", "start", "fleet.socket", "fleet.service")
    wait_for(lambda: lab.active("early.service") == ["m1"], "the unit to run")


def test_a_prefix_without_any_record_is_an_empty_cluster_and_said_to_be_one(etcd):
    for command in ("list-machines", "list-units", "list-unit-files"):
        done = etcd("--etcd-key-prefix", "fleet/not/here", command, "--no-legend")
        assert done.stdout == "" and "nothing below /fleet/not/here/" in done.stderr
    assert etcd("list-machines").stderr == ""


def test_an_etcd_that_cannot_be_reached_is_told_with_its_cause(lab, etcd):
    done = etcd("--endpoint", REFUSED, "list-units", status=7)
    assert f"{REFUSED}: Connection refused" in done.stderr
    both = f"{REFUSED},{lab.env['ETCDCTL_ENDPOINTS']}"
    assert etcd("--endpoint", both, "list-machines", "-o", "name").stdout == lab.id["m1"] + "\n"


def test_a_certificate_that_is_not_good_is_told(etcd, tmp_path):
    make_authority(tmp_path, "other")
    make_certificate(tmp_path, "stranger", authority="other")
    for changed, cause in (({"CA_FILE": tmp_path / "other.pem"}, "certificate"),
                           ({"CA_FILE": "/nonexistent.pem"}, "--ca-file /nonexistent.pem"),
                           ({"CERT_FILE": ""}, "--cert-file"),
                           ({"CERT_FILE": tmp_path / "stranger.pem",
                             "KEY_FILE": tmp_path / "stranger.key"}, "client certificate")):
        env = {f"FLEETCTL_{name}": str(value) for name, value in changed.items()}
        assert cause in etcd("--request-timeout=1", "list-units", env=env, status=7).stderr


def test_a_login_that_is_missing_or_wrong_is_told(etcd):
    done = etcd("list-units", env={"FLEETCTL_ETCD_USERNAME": ""}, status=7)
    assert "FLEETCTL_ETCD_USERNAME" in done.stderr
    done = etcd("list-units", env={"FLEETCTL_ETCD_PASSWORD": "simsalabim"}, status=7)
    assert "FLEETCTL_ETCD_PASSWORD" in done.stderr and "simsalabim" not in done.stderr


def test_what_cannot_go_together_is_a_usage_error(etcd):
    assert "--tunnel" in etcd("--tunnel", "m1", "list-units", status=2).stderr
    assert "unix:///" in etcd("--endpoint", "unix:///run/fleet.sock", "list-units",
                              status=2).stderr


def _heed_interrupts():
    """Also where the tests themselves run with INT ignored, as in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_it_however_fleetctl_ends(lab, etcd, tmp_path, end):
    lab.file("slow.service", service("Type=oneshot", "ExecStart=/bin/sleep infinity"))
    env = {**lab.env, **variables(lab), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([BIN / "fleetctl", "start", "slow"], cwd=lab.files, env=env,
                          start_new_session=True, stderr=subprocess.DEVNULL,
                          preexec_fn=_heed_interrupts) as start:
        children = Path(f"/proc/{start.pid}/task/{start.pid}/children")
        helper = Path("/proc", wait_for(children.read_text, "the program to begin").split()[0])
        wait_for(lambda: "activating" in lab.states("slow.service").values(), "the unit to begin")
        assert b"sesame" not in (helper / "cmdline").read_bytes()
        os.killpg(start.pid, end) if end == signal.SIGINT else start.send_signal(end)
    assert start.returncode == -end
    wait_for(lambda: not helper.exists(), "the program to end")
    assert list(tmp_path.iterdir()) == []
    assert "slow.service" in etcd("list-unit-files").stdout
