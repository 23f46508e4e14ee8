"""When the lab says that a member of etcd has started, has not, or has ended. Needs no lab."""
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab"))

from fleetlab import etcd, layout, process  # noqa: E402  (the path must be set first)
from fleetlab.errors import LabError  # noqa: E402

STATE = {"subnet": "10.213.1.0/24", "etcd": 3, "etcd_tls": False, "etcd_auth": "",
         "etcd_token_ttl": None}
SYS_EXIT = {"x86_64": 60}.get(platform.machine(), 93)


@pytest.fixture(name="members")
def three_members(tmp_path, monkeypatch):
    """Their files are in a directory of the test's own."""
    monkeypatch.setattr(layout, "RUN_BASE", str(tmp_path))
    return etcd.members(layout.Layout("starting"), STATE)


@pytest.fixture(name="spawned")
def spawned_in_place_of_etcd(monkeypatch):
    """What process.spawn starts: the test says which command."""
    started = []

    def spawn_instead(command):
        def spawn(*_):
            started.append(subprocess.Popen(command))
            return started[-1]
        monkeypatch.setattr(process, "spawn", spawn)
        return started
    yield spawn_instead
    for each in started:
        each.kill()
        each.wait()


def test_a_member_is_waited_for_while_its_pid_cannot_be_told(members, spawned, monkeypatch):
    """Its file is not there, then empty, then names a process without an environment: one that
    becomes etcd at this moment. Members that only start count as running."""
    started = spawned(["sleep", "600"])
    found = []

    def is_healthy(member):
        file = Path(member.pid_file)
        found.append(file.read_text() if file.exists() else None)
        pid = str(started[member.number - 1].pid)
        file.write_text({None: "", "": pid}.get(found[-1], pid))
        return found[-1] == pid
    monkeypatch.setattr(etcd.Member, "is_healthy", is_healthy)
    monkeypatch.setattr(etcd.Member, "is_serving", lambda _: pytest.fail("health was not asked"))
    for member in members:
        Path(member.pid_file).parent.mkdir(parents=True, exist_ok=True)
    etcd.start(members[0].layout, STATE, members)
    pids = [str(each.pid) for each in started]
    assert found == [None, "", pids[0], None, "", pids[1], None, "", pids[2]]


def test_a_member_is_not_started_twice_while_its_pid_cannot_be_told(members, spawned):
    started = spawned(["sleep", "600"])
    members[0].start()
    members[0].start()
    assert len(started) == 1


def test_a_member_that_ends_at_once_is_told(members, spawned):
    spawned(["false"])
    with pytest.raises(LabError, match="etcd1 did not start"):
        etcd.start(members[0].layout, STATE, members)


def test_a_process_has_not_ended_before_its_last_thread():
    """The first thread is gone, and with it what is known of the process; its sockets are open."""
    script = ("import ctypes, sys, threading\n"
              "threading.Thread(target=sys.stdin.read).start()\n"
              f"ctypes.CDLL(None).syscall({SYS_EXIT}, 0)")
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as running:
        deadline = time.monotonic() + 20
        while not process.status_field(running.pid, "State").startswith("Z"):
            assert time.monotonic() < deadline, "the first thread does not end"
        assert not process.has_ended(running.pid)
        running.stdin.close()
        process.wait_until("the end of the process", lambda: process.has_ended(running.pid), 20)
    assert process.has_ended(running.pid)
