"""An etcd that asks for a login, and a user who may do nothing but use fleet's prefix. What a login
gives, a token, ends after two seconds."""
import re
import urllib.request

from cluster import service, wait_for
from registry_help import etcdctl, main_pid, refusal, wait_told

LAB = {"machines": 2, "ttl": 3, "etcd": "1",
       "up": ["--etcd-auth", "fleet:sesame", "--etcd-token-ttl", "2"]}


def logins(lab):
    """How often etcd has given a token."""
    with urllib.request.urlopen(lab.env["ETCDCTL_ENDPOINTS"] + "/metrics", timeout=10) as answer:
        found = re.search(r'^grpc_server_handled_total\{grpc_code="OK",grpc_method="Authenticate",'
                          r'.*\} (\d+)$', answer.read().decode(), re.MULTILINE)
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
