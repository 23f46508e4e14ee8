"""The lab's etcd: one or three members, host processes on the bridge's addresses."""
import json
import os
import signal
import ssl
import urllib.request

from . import certificates, process
from . import layout as names
from .errors import LabError
from .process import run, wait_until

STOP_SECONDS = 2


class Member:
    """One member; its data lies on a real disk, so that its fsync costs what it costs."""

    def __init__(self, layout, state, number):
        self.layout = layout
        self.state = state
        self.number = number
        self.name = f"etcd{number}"
        self.host = names.address(state["subnet"], names.ETCD_HOSTS[number - 1])
        self.files = certificates.Files(layout)
        self.endpoint = endpoint(state, number)
        self.peer = f"http://{self.host}:2380"
        self.data = os.path.join(layout.data, self.name)
        self.log = layout.path(f"{self.name}.log")
        self.pid_file = layout.path(f"{self.name}.pid")
        self._started = None  # what start() has started

    def pid(self):
        if self._started is not None and self._started.poll() is None:
            return self._started.pid
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
        self._started = process.spawn(self.layout, "host", [
            "etcd", "--name", self.name, "--data-dir", self.data,
            "--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint,
            "--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer,
            "--initial-cluster", cluster, "--initial-cluster-token", self.layout.name,
            "--auto-compaction-mode=periodic", "--auto-compaction-retention=5m",
            "--logger=zap", "--log-outputs=stderr", *self._security(),
        ], self.pid_file, self.log)

    def _security(self):
        options = []
        if self.state["etcd_tls"]:
            options += ["--cert-file", self.files.server, "--key-file", self.files.server_key,
                        "--client-cert-auth", "--trusted-ca-file", self.files.ca]
        if self.state["etcd_auth"]:
            options += ["--bcrypt-cost=4"]  # a login need not cost an attacker's time here
        if self.state["etcd_token_ttl"]:
            options += [f"--auth-token=jwt,sign-method=ES256,priv-key={self.files.token_key},"
                        f"pub-key={self.files.token_public},ttl={self.state['etcd_token_ttl']}s"]
        return options

    def signal(self, number):
        pid = self.pid()
        if pid:
            process.kill(pid, number)

    def is_healthy(self):
        """It answers a read that needs a leader."""
        answer = self._get("/health")
        return answer is not None and json.loads(answer).get("health") == "true"

    def is_serving(self):
        return self._get("/version") is not None

    def leads(self):
        # The metrics need no login.
        return "\netcd_server_is_leader 1\n" in (self._get("/metrics") or "")

    def _get(self, path):
        """The text, or None if there is no answer."""
        handlers = [_NO_PROXY]
        try:
            if self.state["etcd_tls"]:
                context = ssl.create_default_context(cafile=self.files.ca)
                context.load_cert_chain(self.files.client, self.files.client_key)
                handlers.append(urllib.request.HTTPSHandler(context=context))
            with urllib.request.build_opener(*handlers).open(self.endpoint + path,
                                                             timeout=1) as answer:
                return answer.read().decode()
        except (OSError, ValueError):
            return None


# A proxy from the environment must not come between us and the bridge.
_NO_PROXY = urllib.request.ProxyHandler({})


def endpoint(state, number):
    """Where clients reach a member."""
    scheme = "https" if state["etcd_tls"] else "http"
    return f"{scheme}://{names.address(state['subnet'], names.ETCD_HOSTS[number - 1])}:2379"


def environment(layout, state):
    """What lets etcdctl do everything."""
    found = {"ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": ",".join(
        member.endpoint for member in members(layout, state))}
    if state["etcd_tls"]:
        files = certificates.Files(layout)
        found.update(ETCDCTL_CACERT=files.ca, ETCDCTL_CERT=files.client,
                     ETCDCTL_KEY=files.client_key)
    if state["etcd_auth"]:
        found["ETCDCTL_USER"] = f"root:{password(state)}"
    return found


def password(state):
    """Root's, and that of fleet's user."""
    return state["etcd_auth"].partition(":")[2]


def demand_login(layout, state):
    """Makes the users: root, and fleet's own, who may do what he wants below fleet's prefix."""
    user = state["etcd_auth"].partition(":")[0]
    everything = environment(layout, state)
    del everything["ETCDCTL_USER"]  # there are none yet

    def etcdctl(*arguments):
        run(["etcdctl", *arguments], env={**process.CLEAN_ENV, **everything})
    etcdctl("user", "add", f"root:{password(state)}")
    etcdctl("user", "grant-role", "root", "root")
    etcdctl("role", "add", user)
    etcdctl("role", "grant-permission", user, "--prefix=true", "readwrite", key_prefix(state))
    etcdctl("user", "add", state["etcd_auth"])
    etcdctl("user", "grant-role", user, user)
    etcdctl("auth", "enable")


def key_prefix(state):
    """Where in etcd the lab's fleet has its keys."""
    values = [line.partition("=")[2] for line in state["conf"]
              if line.partition("=")[0].strip() == "etcd_key_prefix"]
    return "/" + (values or ["fleet"])[-1].strip(" \"'/") + "/"


def members(layout, state):
    return [Member(layout, state, number) for number in range(1, state["etcd"] + 1)]


def start(layout, state, chosen):
    """Starts members and returns when they serve; healthy where enough of them run."""
    for member in chosen:
        member.start()
    everyone = {member.number: member for member in [*members(layout, state), *chosen]}
    running = [m for m in everyone.values() if m.run_state() == "running"]
    quorum = len(running) > state["etcd"] // 2
    for member in chosen:
        def answers(member=member):
            if member.pid() is None:
                raise LabError(f"{member.name} did not start; see {member.log}")
            return member.is_healthy() if quorum else member.is_serving()
        wait_until(f"{member.name} ({member.endpoint}; log: {member.log})", answers, 30, 0.05)


def stop(chosen, number=signal.SIGTERM):
    """Ends members and waits for their end; the data stays."""
    pids = [pid for pid in (member.pid() for member in chosen) if pid]
    for member in chosen:
        member.signal(signal.SIGCONT)  # a paused one would never see the other
        member.signal(number)
    try:
        _wait_ended(pids, STOP_SECONDS)
    except LabError:  # the last members look in vain for somebody to hand the leadership to
        for member in chosen:
            member.signal(signal.SIGKILL)
        _wait_ended(pids, 30)


def _wait_ended(pids, seconds):
    wait_until("the end of etcd", lambda: all(map(process.has_ended, pids)), seconds)


def pause(chosen):
    for member in chosen:
        member.signal(signal.SIGSTOP)


def resume(chosen):
    for member in chosen:
        member.signal(signal.SIGCONT)
