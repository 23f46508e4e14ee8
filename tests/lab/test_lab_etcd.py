"""The lab's etcd with several members, certificates, logins: labs of their own."""
import json
import os
import subprocess

import pytest
from lab_tool import Lab, etcdctl, eventually, fresh_name, run_lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")


def test_three_members_survive_the_loss_of_their_leader():
    name = fresh_name()
    try:
        lab = Lab(name, "--machines", "1", "--etcd", "3")
        etcdctl(lab, "put", "key", "value")
        leader = next(m["name"] for m in lab.status()["etcd"] if m["leader"])
        lab("etcd", "stop", "--kill", "--member", leader.removeprefix("etcd"))
        eventually(lambda: any(m["leader"] for m in lab.status()["etcd"]))
        eventually(lambda: etcdctl(lab, "get", "key", check=False).stdout == "key\nvalue\n")
        lab("etcd", "start")
        assert [m["state"] for m in lab.status()["etcd"]] == ["running"] * 3
    finally:
        run_lab("down", "--name", name)


def test_etcd_can_ask_for_certificates_and_logins():
    name = fresh_name()
    try:
        lab = Lab(name, "--machines", "1", "--etcd-tls", "--etcd-auth", "fleet:open sesame",
                  "--etcd-token-ttl", "2", "--conf", "etcd_key_prefix=a/b")
        assert lab.status()["etcd"][0]["leader"]
        etcdctl(lab, "put", "/other", "root's")
        conf = dict(line.split("=", 1) for line in
                    lab.inside("m1", "cat", "/etc/fleet/fleet.conf").stdout.splitlines())
        (endpoint,) = json.loads(conf["etcd_servers"])
        root = lab.machine("m1")["root"]
        authority = f"--cacert={root}{conf['etcd_cafile']}"
        certificate = [f"--cert={root}{conf['etcd_certfile']}",
                       f"--key={root}{conf['etcd_keyfile']}"]
        user = f"--user={conf['etcd_username']}:{conf['etcd_password']}"

        def error(*options):
            return subprocess.run(
                ["etcdctl", "--command-timeout=2s", f"--endpoints={endpoint}", authority,
                 *options],
                env={"PATH": os.environ["PATH"]}, capture_output=True, text=True).stderr
        assert error(*certificate, user, "put", "/a/b/key", "value") == ""
        assert "permission denied" in error(*certificate, user, "get", "/other")
        assert "permission denied" in error(*certificate, "get", "/a/b/key")
        assert "TransientFailure" in error(user, "get", "/a/b/key")
    finally:
        run_lab("down", "--name", name)
