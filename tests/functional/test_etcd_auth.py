"""An etcd that asks for a login over TLS, and a user who may do nothing but use fleet's prefix. What
a login gives, a token, ends after two seconds."""
import re
import subprocess

from cluster import service, wait_for
from registry_help import configured, etcdctl, main_pid, refusal, wait_told

LAB = {"machines": 2, "ttl": 3, "etcd": "1",
       "up": ["--etcd-tls", "--etcd-auth", "fleet:sesame", "--etcd-token-ttl", "2"]}


def logins(lab):
    """How often etcd has given a token."""
    metrics = subprocess.run(
        ["curl", "-sS", "--cacert", lab.env["ETCDCTL_CACERT"], "--cert", lab.env["ETCDCTL_CERT"],
         "--key", lab.env["ETCDCTL_KEY"], lab.env["ETCDCTL_ENDPOINTS"] + "/metrics"],
        text=True, capture_output=True, timeout=60, check=True).stdout
    found = re.search(r'^grpc_server_handled_total\{grpc_code="OK",grpc_method="Authenticate",.*\}'
                      r' (\d+)$', metrics, re.MULTILINE)
    return int(found[1])


def test_a_user_of_the_prefix_alone_is_enough(lab):
    lab.start("a.service")
    lab.file("a.service", service("Environment=V=2"))
    lab.ctl("start", "--replace", "a")
    assert "V=2" in lab.ctl("cat", "a").stdout
    lab.ctl("destroy", "a")
    assert {key.split("/")[1] for key in lab.keys("/")} == {"fleet"}


def test_fleet_logs_in_again_when_its_tokens_have_ended(lab):
    machine = lab.start("steady.service")
    before = lab.show(machine, "steady.service")
    members, pids = lab.created("/fleet/machines/"), [main_pid(lab, name) for name in lab.machines]
    first = logins(lab)
    lab.file("again.service")

    def used():
        lab.ctl("start", "again")
        lab.ctl("destroy", "again")
        return logins(lab) >= first + 3
    wait_for(used, lambda: f"tokens to end: {logins(lab)} logins")
    assert lab.created("/fleet/machines/") == members, "a machine left"
    assert lab.show(machine, "steady.service") == before
    assert [main_pid(lab, name) for name in lab.machines] == pids


def test_a_wrong_password_is_told_and_fleet_joins_when_it_is_right(lab):
    lab.start("runs.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    before = lab.show("m2", "runs.service")
    change = ["user", "passwd", "fleet", "--interactive=false"]
    etcdctl(lab, *change, input="another\n")
    try:
        lab.run("m2", "systemctl", "restart", "fleet")
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "etcd_password")
        assert "sesame" not in refusal(lab, "m2") + lab.journal("m2")
        pid = main_pid(lab, "m2")
    finally:
        etcdctl(lab, *change, input="sesame\n")
    lab.wait_members(*lab.machines, at="m2")
    assert main_pid(lab, "m2") == pid
    assert lab.show("m2", "runs.service") == before


def test_a_permission_that_is_missing_is_told_and_used_when_it_is_there(lab):
    lab.start("runs.service")
    runs = lab.runs()
    etcdctl(lab, "role", "revoke-permission", "fleet", "--prefix=true", "/fleet/")
    try:
        lab.run("m2", "systemctl", "restart", "fleet")
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "permission denied")
    finally:
        etcdctl(lab, "role", "grant-permission", "fleet", "--prefix=true", "readwrite", "/fleet/")
    for machine in lab.machines:
        lab.wait_members(*lab.machines, at=machine)
    assert lab.runs() == runs
    assert lab.start("works.service") in lab.machines


def test_the_name_in_the_client_certificate_may_be_the_login(lab):
    with configured(lab, "m2", "sed -i '/^etcd_username/d; /^etcd_password/d' fleet.conf"):
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "permission denied")
        etcdctl(lab, "user", "add", "client", "--no-password")
        etcdctl(lab, "user", "grant-role", "client", "fleet")
        try:
            lab.wait_members(*lab.machines, at="m2")
            pinned = service(fleet=[f"MachineID={lab.id['m2']}"])
            assert lab.start("pinned.service", pinned) == "m2"
        finally:
            etcdctl(lab, "user", "delete", "client")
