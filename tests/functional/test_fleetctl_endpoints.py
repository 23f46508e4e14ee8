"""Where fleetctl connects to: several endpoints, TLS, and the registry itself."""
import subprocess

import pytest
from cluster import BIN, service, wait_for
from http_client import PORT, configured, make_authority, make_certificate, write

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)

REFUSED = "http://127.0.0.1:1"
FOLDER = "/etc/fleet/tls"


def of(lab, machine):
    return f"http://{lab.ip[machine]}:{PORT}"


def test_endpoints_are_tried_in_their_order(lab):
    for order in (["m1", "m2"], ["m2", "m1"]):
        done = lab.ctl("--debug", "list-units",
                       env={"FLEETCTL_ENDPOINT": ",".join(of(lab, name) for name in order)})
        assert of(lab, order[0]) in done.stderr and of(lab, order[1]) not in done.stderr
    listed = ["unix:///nonexistent.sock", REFUSED, of(lab, "m2"), of(lab, "m1")]
    done = lab.ctl("--debug", "--endpoint", ",".join(listed), "list-units")
    assert of(lab, "m2") in done.stderr and of(lab, "m1") not in done.stderr


def test_when_none_can_be_connected_to_each_is_told_with_its_cause(lab):
    done = lab.ctl("--endpoint", f"unix:///nonexistent.sock,{REFUSED}", "list-units", status=7)
    assert "unix:///nonexistent.sock: No such file or directory" in done.stderr
    assert f"{REFUSED}: Connection refused" in done.stderr
    for words in (["start", "x"], ["destroy", "x"], ["status", "x"], ["ssh", "x"], ["cat", "x"],
                  ["journal", "x"], ["list-machines"], ["list-unit-files"]):
        lab.file("x.service")
        lab.ctl("--endpoint", REFUSED, *words, status=7)


def test_an_address_that_does_not_answer_is_passed_over(lab):
    """m1 drops what comes to its API; connecting to it ends with the time of a request."""
    rule = ["INPUT", "-p", "tcp", "--dport", str(PORT), "-j", "DROP"]
    lab.run("m1", "iptables", "-I", *rule)
    try:
        done = lab.ctl("--request-timeout=0.5", "--endpoint", f"{of(lab, 'm1')},{of(lab, 'm2')}",
                       "list-machines", "-o", "name")
        assert sorted(done.stdout.split()) == sorted(lab.id.values())
        assert of(lab, "m1") in lab.ctl("--request-timeout=0.5", "--endpoint", of(lab, "m1"),
                                        "list-machines", status=7).stderr
    finally:
        lab.run("m1", "iptables", "-D", *rule)


def test_a_wait_goes_on_at_the_next_endpoint(lab):
    """The machine that took the request goes away while fleetctl waits for the unit."""
    lab.run("m2", "rm", "-f", "/run/go")
    lab.file("waits.service", service("Type=oneshot", "ExecStart=/bin/sh -c 'touch /run/begun; "
                                      "until [ -e /run/go ]; do sleep 0.1; done'",
                                      fleet=[f"MachineID={lab.id['m2']}"]))
    env = {**lab.env, "FLEETCTL_ENDPOINT": f"{of(lab, 'm1')},{of(lab, 'm2')}"}
    with subprocess.Popen([BIN / "fleetctl", "start", "waits"], cwd=lab.files, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as start:
        try:
            wait_for(lambda: "activating" in lab.states("waits.service", at="m2").values(),
                     "the unit to begin")
            lab.run("m1", "systemctl", "stop", "fleet.socket", "fleet.service")
            lab.run("m2", "touch", "/run/go")
            out, err = start.communicate(timeout=30)
        finally:
            start.kill()
            lab.run("m1", "systemctl", "start", "fleet.socket", "fleet.service")
    assert start.returncode == 0 and "Unit waits.service launched on" in out, err


# --- TLS -----------------------------------------------------------------------------------------

@pytest.fixture
def keys(lab, tmp_path):
    """Certificates of two authorities; m1 has a server's."""
    for authority in ("ca", "other"):
        make_authority(tmp_path, authority)
    make_certificate(tmp_path, "server", lab.ip["m1"])
    make_certificate(tmp_path, "client")
    make_certificate(tmp_path, "stranger", authority="other")
    for name in ("ca.pem", "server.pem", "server.key"):
        write(lab, f"{FOLDER}/{name}", (tmp_path / name).read_text())
    return tmp_path


def test_https_among_the_endpoints(lab, keys):
    files = {f"FLEETCTL_{flag}_FILE": str(keys / name) for flag, name in
             (("CA", "ca.pem"), ("CERT", "client.pem"), ("KEY", "client.key"))}
    https = f"https://{lab.ip['m1']}:{PORT}"

    def ctl(*words, endpoint=https, **options):
        return lab.ctl(*words, env={"FLEETCTL_ENDPOINT": endpoint, **files}, **options)
    with configured(lab, f"listen_cafile={FOLDER}/ca.pem", f"listen_certfile={FOLDER}/server.pem",
                    f"listen_keyfile={FOLDER}/server.key", "listen_insecure=false"):
        lab.file("safe.service")
        assert "launched on" in ctl("start", "safe").stdout
        for endpoint in (f"{REFUSED},{https}", f"{https},{of(lab, 'm2')}"):
            done = ctl("--debug", "list-units", "-o", "name", endpoint=endpoint)
            assert done.stdout == "safe.service\n" and f"connected to {https}" in done.stderr
        # As the tunnel's host reaches it; the certificate is checked here.
        assert ctl("--tunnel", lab.ip["m2"], "list-units", "-o", "name").stdout == "safe.service\n"
        # The flags win over the environment. What is wrong is told by its cause.
        for words, cause in ((["--ca-file", keys / "other.pem"], "--ca-file"),
                             (["--cert-file", keys / "none.pem"], "none.pem"),
                             (["--key-file", keys / "stranger.key"], "stranger.key")):
            done = ctl(*map(str, words), "list-units", status=7)
            assert cause in done.stderr and https in done.stderr
        strange = ["--cert-file", str(keys / "stranger.pem"), "--key-file",
                   str(keys / "stranger.key")]
        refused = ctl(*strange, "list-units", status=None)
        assert refused.returncode in (1, 7) and "certificate" in refused.stderr
        assert ctl(*strange, "list-units", "-o", "name",
                   endpoint=f"{https},{of(lab, 'm2')}").stdout == "safe.service\n"
        ctl("destroy", "safe", endpoint=of(lab, "m2"))


# --- --driver=etcd -------------------------------------------------------------------------------

@pytest.fixture
def etcd(lab):
    """fleetctl that knows etcd only."""
    def ctl(*words, **options):
        return lab.ctl("--driver=etcd", *words,
                       env={"FLEETCTL_ENDPOINT": lab.env["ETCDCTL_ENDPOINTS"]}, **options)
    return ctl


def test_the_driver_etcd_reads_the_registry(lab, etcd):
    machine = lab.start("there.service")
    for words in (["list-machines", "--full"], ["list-units", "--full"], ["list-unit-files", "-l"],
                  ["cat", "there"]):
        assert etcd(*words).stdout == lab.ctl(*words).stdout
    assert etcd("ssh", "there", "hostname").stdout == machine + "\n"
    assert "active (running)" in etcd("status", "there").stdout
    etcd("cat", "nowhere", status=4)


def test_the_driver_etcd_changes_units(lab, etcd):
    lab.file("drive.service")
    assert etcd("submit", "drive").stdout == "Unit drive.service inactive\n"
    for verb, said in (("load", "loaded on"), ("start", "launched on"), ("restart", "launched on"),
                       ("stop", "loaded on"), ("unload", "inactive")):
        assert f"Unit drive.service {said}" in etcd(verb, "drive").stdout
    assert etcd("destroy", "drive").stdout == "Destroyed drive.service\n"
    assert lab.units() == {}


def test_the_driver_and_the_prefix_come_from_the_environment(lab):
    env = {"FLEETCTL_DRIVER": "etcd", "FLEETCTL_ENDPOINT": lab.env["ETCDCTL_ENDPOINTS"]}
    assert sorted(lab.ctl("list-machines", "-o", "name", env=env).stdout.split()) == sorted(
        lab.id.values())
    env["FLEETCTL_ETCD_KEY_PREFIX"] = "/elsewhere/"
    assert lab.ctl("list-machines", "-o", "name", env=env).stdout == ""
    done = lab.ctl("list-machines", env={**env, "FLEETCTL_ENDPOINT": REFUSED}, status=7)
    assert REFUSED in done.stderr


def test_the_driver_is_named_in_any_case(lab):
    for driver in ("API", "api"):
        assert lab.id["m1"][:8] in lab.ctl("--driver", driver, "list-machines").stdout
