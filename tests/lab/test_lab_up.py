"""How `lab up` fares on hosts of several kinds and with programs that do not what they should."""
import os
import pathlib
import socket
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab_tool import ROOT, Lab, fresh_name, layouts, remains, run_lab

from fleetlab import lifecycle, machine, state
from fleetlab.errors import LabError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")


def test_the_lab_may_run_in_a_root_that_nobody_has_booted(tmp_path):
    """A chroot, as a build's clean root is: the mount namespace's root is not the lab's, and there
    is no machine-id."""
    name = fresh_name()
    new_id = tmp_path / "machine-id"
    new_id.touch()
    script = ('mount --rbind / "$1" && mount --bind "$2" "$1/etc/machine-id" && '
              'exec chroot "$1" sh -c \'cd "$1"; '
              'lab/lab up --name "$2" --no-fleet --machines 1 --etcd none; '
              'lab/lab exec --name "$2" m1 -- cat /etc/hostname; status=$?; '
              'lab/lab down --name "$2"; exit $status\' sh "$3" "$4"')
    new_root = tmp_path / "root"
    new_root.mkdir()
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", str(new_root),
                           str(new_id), str(ROOT), name],
                          capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout) == (0, "m1\n"), done.stderr
    assert len(new_id.read_text()) == 33
    assert remains(name) == []


def test_a_boot_that_does_not_end_is_explained(monkeypatch):
    """By what its systemd waits for."""
    name = fresh_name()
    try:
        lab = Lab(name, "--machines", "1", "--etcd", "none")
        lab.inside("m1", "sh", "-c", "echo '[Service]\nType=oneshot\nExecStart=sleep infinity' "
                   "> /run/systemd/system/stuck.service; systemctl start --no-block stuck")
        monkeypatch.setattr(machine, "_has_booted", lambda *_: False)
        layout = layouts.Layout(name)
        with pytest.raises(LabError, match="(?s)the boot of m1;.*stuck.service.*its console"):
            machine.wait_ready(layout, state.load(layout), layout.machine(1), 0)
    finally:
        run_lab("down", "--name", name)


def test_a_slow_sshd_is_asked_once(monkeypatch):
    """Each connection that is given up would make the machine slower still."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect, port = socket.create_connection, server.getsockname()[1]
        monkeypatch.setattr(machine.socket, "create_connection",
                            lambda _, **options: connect(("127.0.0.1", port), **options))
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(machine._ssh_answers, "10.213.1.11")
            client, _ = server.accept()
            with client:
                with pytest.raises(TimeoutError):
                    answer.result(2)  # longer than a connection may take to be made
                client.sendall(b"SSH-2.0-slow\r\n")
                assert answer.result()


@pytest.fixture(name="short_path")
def short_temporary_path():
    """Sockets' names have to be short."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        yield pathlib.Path(path)


def test_what_cannot_be_removed_does_not_hide_why_up_failed(short_path, monkeypatch):
    def fail_with(text):
        raise LabError(text)
    clearings = iter([lambda: None, lambda: fail_with("it hangs")])
    monkeypatch.setattr(layouts, "DATA_BASE", str(short_path / "data"))
    monkeypatch.setattr(layouts, "RUN_BASE", str(short_path / "run"))
    monkeypatch.setattr(lifecycle, "_check_host", lambda _: None)
    monkeypatch.setattr(lifecycle.signal, "signal", lambda *_: None)
    monkeypatch.setattr(lifecycle, "_build", lambda *_: fail_with("no boot"))
    monkeypatch.setattr(lifecycle, "_clear", lambda _: next(clearings)())
    with pytest.raises(LabError, match="no boot.*it hangs"):
        lifecycle.up(layouts.Layout(fresh_name()), {})


def fake_fleet(directory, fleetd, fleetctl):
    """Programs and units that stand for fleet's."""
    for program, text in (("fleetd", fleetd), ("fleetctl", fleetctl)):
        (directory / program).write_text(f"#!/bin/sh\n{text}\n")
        (directory / program).chmod(0o755)
    (directory / "fleet.service").write_text("[Service]\nExecStart=/usr/bin/fleetd\n")
    (directory / "fleet.socket").write_text("[Socket]\nListenStream=/run/fleet.sock\n"
                                            "SocketMode=0660\nSocketGroup=fleet\n")
    return ["--bin", str(directory), "--packaging", str(directory)]


def test_up_waits_for_fleet_and_env_finds_its_programs(tmp_path):
    options = fake_fleet(tmp_path, "exec sleep infinity",
                         f"test -e {tmp_path}/asked && printf '1/a\\n2/b\\n'; "
                         f"echo \"$@\" > {tmp_path}/asked")
    name = fresh_name()
    try:
        run_lab("up", "--name", name, "--machines", "2", *options)
        assert "list-machines" in (tmp_path / "asked").read_text()
        active = run_lab("exec", "--name", name, "m2", "--", "systemctl", "is-active",
                         "fleet.service", "fleet.socket").stdout
        assert active == "active\nactive\n"
        found = subprocess.run(["sh", "-c", 'eval "$1"; command -v fleetctl', "sh",
                                run_lab("env", "--name", name).stdout],
                               capture_output=True, text=True, check=True).stdout
        assert found == f"{tmp_path}/fleetctl\n"
    finally:
        run_lab("down", "--name", name)


def test_fleet_that_does_not_start_is_explained(tmp_path):
    """The verdict of `up` names the machine and shows its journal."""
    options = fake_fleet(tmp_path, "echo not today >&2; exit 1", "exit 1")
    name = fresh_name()
    try:
        done = run_lab("up", "--name", name, "--machines", "1", "--fleet-timeout", "2", *options,
                       check=False)
        assert done.returncode == 1
        assert "m1 to list 1 machines" in done.stderr
        assert "not today" in done.stderr
    finally:
        run_lab("down", "--name", name)
