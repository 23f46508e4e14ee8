"""For the tests of a registry that cannot be used: what fleet says, and how it is put right."""
import contextlib
import json
import subprocess
import urllib.error
import urllib.request

from cluster import wait_for

PORT = 49153
UNUSABLE = "fleet server unable to communicate with etcd"


def refusal(lab, machine):
    """The message with which a machine's API refuses requests; "" if it serves."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://{lab.ip[machine]}:{PORT}/fleet/v1/machines", timeout=10).close()
    except urllib.error.HTTPError as error:
        assert error.code == 503 and error.headers["Retry-After"], (error.code, error.headers)
        message = json.load(error)["error"]["message"]
        assert message.startswith(UNUSABLE), message
        return message
    return ""


def wait_told(lab, machine, *words, seconds=30):
    """Waits until the API's refusal and the journal of this fleetd name each of these."""
    def told():
        return all(word in refusal(lab, machine) for word in words)

    def noted():
        pid = lab.show(machine, "fleet", "MainPID")["MainPID"]
        journal = lab.run(machine, "journalctl", "-o", "cat", f"_PID={pid}")
        return all(word in journal for word in words)
    wait_for(told, lambda: f"the API to say {words}: {refusal(lab, machine)}", seconds)
    wait_for(noted, lambda: f"{words} in the journal:\n{lab.journal(machine)}", seconds)


@contextlib.contextmanager
def configured(lab, machine, script):
    """Runs with fleetd started anew after a change of its files, and puts them back."""
    lab.shell(machine, f"rm -rf /root/kept && cp -a /etc/fleet /root/kept && cd /etc/fleet && "
                       f"{script} && systemctl restart fleet")
    try:
        yield
    finally:
        lab.shell(machine, "rm -rf /etc/fleet && mv /root/kept /etc/fleet && "
                           "systemctl restart fleet")
        lab.wait_members(*lab.machines)


def main_pid(lab, machine):
    return lab.show(machine, "fleet", "MainPID")["MainPID"]


def etcdctl(lab, *arguments, **options):
    """Runs etcdctl as root, and returns what it printed."""
    done = subprocess.run(["etcdctl", *arguments], env=lab.env, text=True, capture_output=True,
                          timeout=60, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout
