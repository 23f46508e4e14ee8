"""--tunnel, and fd-forward on its other end. fleetctl is outside and knows one host only."""
import socket
import subprocess
import threading

import pytest
from cluster import BIN, LAB as LAB_PROGRAM, service, wait_for

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)

REQUEST = "GET /fleet/v1/machines HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LOCAL = "http://127.0.0.1:49153"  # on the tunnel's host


def through(lab, *arguments, host=None, endpoint="", env=None, **options):
    """fleetctl by way of m1, at its default endpoint if none is named."""
    return lab.ctl("--tunnel", host or lab.ip["m1"], *arguments,
                   env={"FLEETCTL_ENDPOINT": endpoint, **(env or {})}, **options)


@pytest.mark.parametrize("endpoint", ["", LOCAL], ids=["unix", "tcp"])
def test_units_are_managed_through_a_tunnel(lab, endpoint):
    lab.file("far.service", service(fleet=[f"MachineID={lab.id['m2']}"]))

    def ctl(*arguments, **options):
        return through(lab, *arguments, endpoint=endpoint, **options).stdout
    assert "launched on " + lab.id["m2"][:8] in ctl("start", "far")
    assert ctl("list-units", "-o", "name") == "far.service\n"
    assert ctl("cat", "far") == (lab.files / "far.service").read_text()
    assert ctl("destroy", "far") == "Destroyed far.service\n"


def test_a_tcp_endpoint_is_named_as_the_tunnels_host_knows_it(lab):
    """m2 by a name that only m1 can resolve, and 127.0.0.1 as m1's own."""
    lab.shell("m1", "cp /etc/hosts /etc/hosts.kept && "
                    f"echo {lab.ip['m2']} secret.example >> /etc/hosts")
    try:
        done = through(lab, "--debug", "list-machines", "-o", "name",
                       endpoint="http://secret.example:49153")
    finally:
        lab.shell("m1", "cat /etc/hosts.kept > /etc/hosts && rm /etc/hosts.kept")
    assert sorted(done.stdout.split()) == sorted(lab.id.values())
    assert "secret.example" in done.stderr


def test_machines_are_reached_through_the_tunnel_too(lab):
    """Those that packets from here do not reach."""
    lab.start("far.service", service("ExecStartPre=/bin/true", "ExecStart=/bin/sh -c "
                                     "'echo good morning; exec sleep 1d'",
                                     fleet=[f"MachineID={lab.id['m2']}"]))
    wait_for(lambda: "good morning" in lab.run("m2", "journalctl", "-u", "far"), "the line")
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "!", "-s", lab.ip["m1"], "-j", "REJECT"]
    lab.run("m2", "iptables", "-I", *rule)
    try:
        lab.ctl("ssh", "far", "true", status=255)
        said = through(lab, "ssh", "-A", "far", "echo $SSH_CONNECTION; ssh-add -l; exit 9",
                       status=9).stdout
        assert said.startswith(lab.ip["m1"]) and "fleet-lab" in said  # the comment of its key
        assert "good morning" in through(lab, "journal", "far").stdout
        assert "active (running)" in through(lab, "status", "far", endpoint=LOCAL).stdout
    finally:
        lab.run("m2", "iptables", "-D", *rule)


def test_the_tunnels_port_and_the_environment(lab):
    port = f"{lab.ip['m1']}:2222"
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "-j", "REJECT"]
    lab.run("m1", "systemd-run", "--quiet", "--collect", "--unit=gate", "/usr/sbin/sshd", "-D",
            "-p", "2222")
    try:
        wait_for(lambda: lab.run("m1", "ss", "-Hltn", "sport = :2222"), "the second sshd")
        lax = {"FLEETCTL_STRICT_HOST_KEY_CHECKING": "false"}
        lab.run("m1", "iptables", "-I", *rule)
        through(lab, "list-machines", status=7)
        assert through(lab, "list-machines", host=port, env=lax).stdout.count("\n") == 3
        done = lab.ctl("ssh", lab.id["m2"], "hostname", env={
            "FLEETCTL_TUNNEL": port, "FLEETCTL_ENDPOINT": LOCAL, **lax})
        assert done.stdout == "m2\n"
    finally:
        lab.run("m1", "iptables", "-D", *rule, status=None)
        lab.run("m1", "systemctl", "stop", "gate")


def test_the_tunnels_user_is_the_same(lab):
    """core may use the socket, nobody may not."""
    done = through(lab, "--ssh-username=root", "ssh", lab.id["m1"], "id -un")
    assert done.stdout == "root\n"
    lab.shell("m1", "useradd --create-home --shell /bin/bash --password '*' guest")
    try:
        done = through(lab, "list-machines", env={"FLEETCTL_SSH_USERNAME": "guest"}, status=7)
        assert "Permission denied" in done.stderr
    finally:
        lab.run("m1", "userdel", "--force", "--remove", "guest")


def test_a_tunnel_to_nobody_ends_after_the_ssh_timeout(lab):
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"]
    lab.run("m1", "iptables", "-I", *rule)
    try:
        done = through(lab, "--ssh-timeout=1", "list-machines", status=7)
    finally:
        lab.run("m1", "iptables", "-D", *rule)
    assert lab.ip["m1"] in done.stderr and "timed out" in done.stderr


def test_a_tunnel_without_a_key_that_works_is_a_clear_error(lab):
    for endpoint in ("", LOCAL):
        done = through(lab, "list-machines", env={"SSH_AUTH_SOCK": ""}, endpoint=endpoint,
                       status=7)
        assert done.stdout == ""
        assert f"core@{lab.ip['m1']}" in done.stderr and "Permission denied" in done.stderr
        assert "ssh-add" in done.stderr


@pytest.mark.parametrize("endpoint, cause", [
    ("unix:///run/none.sock", "No such file or directory"),
    ("http://127.0.0.1:9", "refused")])
def test_a_tunnel_to_an_endpoint_that_is_not_there_is_no_connection(lab, endpoint, cause):
    done = through(lab, "list-machines", endpoint=endpoint, status=7)
    assert endpoint in done.stderr and cause in done.stderr
    assert "JSON" not in done.stderr


def test_a_tunnel_tries_the_endpoints_in_order(lab):
    done = through(lab, "list-machines", "-o", "name",
                   endpoint=f"unix:///run/none.sock,{LOCAL}")
    assert sorted(done.stdout.split()) == sorted(lab.id.values())


@pytest.mark.parametrize("tunnel", ["host:port", "host:99999", "[::1", ":22"])
def test_a_tunnel_that_is_no_host_and_port_is_a_usage_error(lab, tunnel):
    assert "--tunnel" in through(lab, "list-machines", host=tunnel, status=2).stderr


# --- fd-forward ----------------------------------------------------------------------------------

def forward(lab, path, request=REQUEST, **options):
    return subprocess.run([LAB_PROGRAM, "exec", "--name", lab.name, "m1", "--", "fleetctl",
                           "fd-forward", path], input=request, capture_output=True, text=True,
                          timeout=60, check=False, **options)


@pytest.mark.parametrize("path", ["/var/run/fleet.sock", "unix:///run/fleet.sock"])
def test_fd_forward_connects_its_input_and_output_to_a_socket(lab, path):
    done = forward(lab, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("HTTP/1.1 200") and lab.id["m2"] in done.stdout


def test_fd_forward_passes_every_byte_and_the_end_of_its_input_on(tmp_path):
    """To a server that answers when it has heard all."""
    path = str(tmp_path / "echo.sock")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve():
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as heard:
                connection.sendall(heard.read()[::-1])
        thread = threading.Thread(target=serve)
        thread.start()
        data = bytes(range(256)) * 4000
        done = subprocess.run([BIN / "fleetctl", "fd-forward", path], input=data, timeout=60,
                              capture_output=True, check=True)
        thread.join()
    assert done.stdout == data[::-1]


def test_fd_forward_without_a_socket(lab):
    done = forward(lab, "/run/none.sock")
    assert done.returncode == 1 and done.stdout == ""
    assert "/run/none.sock" in done.stderr and "No such file or directory" in done.stderr
    assert forward(lab, "relative.sock").returncode == 2
    assert "fd-forward" in subprocess.run([BIN / "fleetctl", "fd-forward"], capture_output=True,
                                          text=True, check=False).stderr
