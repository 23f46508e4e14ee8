"""The lab's etcd: one or three members, host processes on the bridge's addresses."""
import json
import os
import signal
import urllib.request

from . import layout as names
from . import process
from .errors import LabError
from .process import wait_until

STOP_SECONDS = 2


class Member:
    """One member; its data lies on a real disk, so that its fsync costs what it costs."""

    def __init__(self, layout, state, number):
        self.layout = layout
        self.state = state
        self.number = number
        self.name = f"etcd{number}"
        self.host = names.address(state["subnet"], names.ETCD_HOSTS[number - 1])
        self.endpoint = f"http://{self.host}:2379"
        self.peer = f"http://{self.host}:2380"
        self.data = os.path.join(layout.data, self.name)
        self.log = layout.path(f"{self.name}.log")
        self.pid_file = layout.path(f"{self.name}.pid")

    def pid(self):
        return process.pid_of(self.layout, self.pid_file)

    def run_state(self):
        pid = self.pid()
        if pid is None:
            return "stopped"
        return "paused" if process.status_field(pid, "State").startswith("T") else "running"

    def start(self):
        if self.pid():
            return
        cluster = ",".join(f"{m.name}={m.peer}" for m in members(self.layout, self.state))
        process.spawn(self.layout, "host", [
            "etcd", "--name", self.name, "--data-dir", self.data,
            "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
            "--initial-cluster", cluster, "--initial-cluster-token", self.layout.name,
            "--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
            "--logger=zap", "--log-outputs=stderr",
        ], self.pid_file, self.log)

    def signal(self, number):
        pid = self.pid()
        if pid:
            process.kill(pid, number)

    def is_healthy(self):
        """It answers a read that needs a leader."""
        return (_get(f"{self.endpoint}/health") or {}).get("health") == "true"

    def is_serving(self):
        return _get(f"{self.endpoint}/version") is not None

    def leads(self):
        status = _get(f"{self.endpoint}/v3/maintenance/status", b"{}") or {}
        own = status.get("header", {}).get("member_id")
        return own is not None and own == status.get("leader")


# A proxy from the environment must not come between us and the bridge.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _get(url, body=None):
    try:
        with _OPENER.open(url, body, timeout=1) as answer:
            return json.load(answer)
    except (OSError, ValueError):
        return None


def members(layout, state):
    return [Member(layout, state, number) for number in range(1, state["etcd"] + 1)]


def start(layout, state, chosen):
    """Starts members and returns when they serve; healthy where enough of them run."""
    for member in chosen:
        member.start()
    running = [m for m in members(layout, state) if m.run_state() == "running"]
    quorum = len(running) > state["etcd"] // 2
    for member in chosen:
        def answers(member=member):
            if member.pid() is None and os.path.exists(member.pid_file):
                raise LabError(f"{member.name} did not start; see {member.log}")
            return member.is_healthy() if quorum else member.is_serving()
        wait_until(f"{member.name} ({member.endpoint}; log: {member.log})", answers, 30, 0.05)


def stop(chosen, number=signal.SIGTERM):
    """Ends members and waits for their end; the data stays."""
    for member in chosen:
        member.signal(signal.SIGCONT)  # a paused one would never see the other
        member.signal(number)
    try:
        _wait_ended(chosen, STOP_SECONDS)
    except LabError:  # the last members look in vain for somebody to hand the leadership to
        for member in chosen:
            member.signal(signal.SIGKILL)
        _wait_ended(chosen, 30)


def _wait_ended(chosen, seconds):
    wait_until("the end of etcd", lambda: not any(member.pid() for member in chosen), seconds)


def pause(chosen):
    for member in chosen:
        member.signal(signal.SIGSTOP)


def resume(chosen):
    for member in chosen:
        member.signal(signal.SIGCONT)
