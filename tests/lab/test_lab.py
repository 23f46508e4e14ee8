"""The lab itself, on machines without fleetd. Needs root; each test is a lab of its own or
shares the module's."""
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lab_tool import (LAB, Lab, etcdctl, eventually, fresh_name, layouts, remains, run_lab,
                      stale_nspawn_locks)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root")


@pytest.fixture(name="lab", scope="module")
def shared_lab():
    name = fresh_name()
    try:
        yield Lab(name, "--machines", "2", "--metadata", "m1:zone=a,disk=ssd", "--ttl", "5",
                  "--conf", "verbosity=1")
    finally:
        run_lab("down", "--name", name)


def test_down_leaves_nothing():
    name = fresh_name()
    try:
        Lab(name, "--machines", "2", "--etcd", "3")
        run_lab("impair", "--name", name, "m1", "--delay", "10", "--loss", "10", "--rate", "512")
        run_lab("partition", "--name", name, "m1")
        run_lab("crash", "--name", name, "m2")
        assert remains(name)
    finally:
        run_lab("down", "--name", name)
    assert remains(name) == []
    assert stale_nspawn_locks() == []
    run_lab("down", "--name", name)


def test_down_works_without_the_state_file():
    name = fresh_name()
    try:
        Lab(name, "--machines", "1")
        Path(layouts.Layout(name).state_file).write_text("{ torn")
    finally:
        run_lab("down", "--name", name)
    assert remains(name) == []


@pytest.mark.parametrize("moment", ["mounts", "links", "machines"])
def test_a_killed_up_is_cleaned_up_by_down(moment):
    name = fresh_name()
    lab = layouts.Layout(name)
    reached = {
        "mounts": lambda: lab.run in Path("/proc/self/mounts").read_text(),
        "links": lambda: lab.bridge in os.listdir("/sys/class/net"),
        "machines": lambda: any(lab.veth in os.listdir("/sys/class/net")
                                for lab in [lab.machine(2)]),
    }[moment]
    up = subprocess.Popen([LAB, "up", "--name", name, "--no-fleet"],
                          stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        eventually(reached, 120)
        up.send_signal(signal.SIGKILL)
        up.wait()
    finally:
        run_lab("down", "--name", name)
    assert remains(name) == []


def test_up_after_a_killed_up_starts_afresh():
    name = fresh_name()
    lab = layouts.Layout(name)
    up = subprocess.Popen([LAB, "up", "--name", name, "--no-fleet"], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: lab.bridge in os.listdir("/sys/class/net"), 120)
        up.kill()
        up.wait()
        assert Lab(name, "--machines", "1").inside("m1", "true").returncode == 0
    finally:
        run_lab("down", "--name", name)
    assert remains(name) == []


def test_a_second_up_is_refused(lab):
    again = run_lab("up", "--name", lab.name, "--no-fleet", check=False)
    assert again.returncode == 1
    assert "already up" in again.stderr


@pytest.mark.parametrize("name", ["a" * 33, "Upper", "under_score", "-x", "", "../etc"])
def test_a_bad_name_is_refused(name):
    done = run_lab("up", f"--name={name}", "--no-fleet", check=False)
    assert done.returncode == 2
    assert "bad lab name" in done.stderr


def test_a_name_may_have_32_characters():
    name = secrets.token_hex(16)
    try:
        Lab(name, "--machines", "1", "--etcd", "none")
        assert run_lab("ssh", "--name", name, "m1", "hostname").stdout == "m1\n"
    finally:
        run_lab("down", "--name", name)
    assert remains(name) == []


@pytest.mark.parametrize("options", [["--machines", "0"], ["--machines", "101"],
                                     ["--metadata", "m9:a=b"], ["--metadata", "zone=a"],
                                     ["--ttl", "soon"], ["--conf", "verbosity"],
                                     ["--etcd-tls", "--etcd", "none"], ["--etcd-auth", "fleet"],
                                     ["--etcd-auth", "root:x"], ["--etcd-token-ttl", "2"]])
def test_bad_options_are_usage_errors(options):
    done = run_lab("up", "--name", fresh_name(), "--no-fleet", *options, check=False)
    assert done.returncode == 2
    assert options[0] in done.stderr


def test_several_machines_need_an_etcd(tmp_path):
    for program in ("fleetd", "fleetctl"):
        (tmp_path / program).touch(mode=0o755)
    done = run_lab("up", "--name", fresh_name(), "--etcd", "none", "--bin", str(tmp_path),
                   check=False)
    assert done.returncode == 2
    assert "--machines 1" in done.stderr


def test_exec_passes_stdin_output_and_status_through(lab):
    assert lab.inside("m1", "sh", "-c", "exit 7", check=False).returncode == 7
    done = lab.inside("m2", "sh", "-c", "cat; echo err >&2", input="in\n")
    assert (done.stdout, done.stderr) == ("in\n", "err\n")
    assert lab.inside("m1", "no-such-program", check=False).returncode == 127
    assert lab.inside("m1", "sh", "-c", "pwd; hostname").stdout == "/\nm1\n"
    assert lab.inside("m9", "true", check=False).returncode == 125


def test_what_exec_runs_ends_with_it(lab):
    tag = str(100000 + secrets.randbelow(800000))
    running = subprocess.Popen([LAB, "exec", "--name", lab.name, "m1", "--", "sleep", tag])

    def is_there():
        return lab.inside("m1", "pgrep", "-f", f"sleep {tag}", check=False).returncode == 0
    eventually(is_there)
    running.kill()
    running.wait()
    eventually(lambda: not is_there())


def test_machines_have_an_init_and_an_identity_of_their_own(lab):
    assert lab.inside("m1", "systemctl", "is-system-running").stdout == "running\n"
    ids = [lab.inside(m, "cat", "/etc/machine-id").stdout for m in ("m1", "m2")]
    assert ids[0] != ids[1]
    assert lab.machine("m1")["id"] == ids[0].strip()
    assert lab.inside("m1", "busctl", "status").returncode == 0


def test_the_configuration_is_what_up_was_told(lab):
    lines = lab.inside("m1", "cat", "/etc/fleet/fleet.conf").stdout.splitlines()
    ip = lab.machine("m1")["ip"]
    assert f"public_ip={ip}" in lines
    assert "metadata=zone=a,disk=ssd" in lines
    assert "agent_ttl=5s" in lines
    assert "verbosity=1" in lines
    assert "listen=0.0.0.0:49153" in lines
    endpoint = lab.env()["ETCDCTL_ENDPOINTS"]
    assert f'etcd_servers=["{endpoint}"]' in lines
    assert "metadata" not in lab.inside("m2", "cat", "/etc/fleet/fleet.conf").stdout


def test_ssh_works_with_the_env_alone(lab):
    env = lab.env()
    for user in ("core", "root"):
        done = subprocess.run(
            ["ssh", "-F", "none", "-o", f"UserKnownHostsFile={env['FLEETCTL_KNOWN_HOSTS_FILE']}",
             "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
             f"{user}@{lab.machine('m2')['ip']}", "id -un; hostname; exit 3"],
            env=env, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (3, f"{user}\nm2\n"), done.stderr


def test_env_can_be_evaluated(lab):
    text = lab("env").stdout
    done = subprocess.run(["sh", "-eu", "-c", 'eval "$1"; echo "$FLEETLAB_NAME"; '
                           'echo "$FLEETCTL_ENDPOINT"', "sh", text],
                          capture_output=True, text=True, check=True)
    endpoints = ",".join(f"http://{m['ip']}:49153" for m in lab.status()["machines"])
    assert done.stdout == f"{lab.name}\n{endpoints}\n"


def test_a_crash_keeps_the_disk_and_nothing_else(lab):
    lab.inside("m2", "sh", "-c", "echo kept > /var/lib/kept; echo lost > /run/lost")
    lab("crash", "m2")
    assert lab.machine("m2")["state"] == "crashed"
    assert "not running" in lab.inside("m2", "true", check=False).stderr
    assert lab("crash", "m2", check=False).returncode == 125
    assert "systemd" in lab("logs", "m2").stdout
    lab("boot", "m2")
    assert lab.inside("m2", "cat", "/var/lib/kept").stdout == "kept\n"
    assert lab.inside("m2", "cat", "/run/lost", check=False).returncode == 1
    assert lab("boot", "m2", check=False).returncode == 1


def test_a_crash_says_no_goodbye(lab):
    """The peer of a TCP connection must not learn of it."""
    listener = ("import socket; s = socket.create_connection(('{}', 22)); s.recv(100); "
                "print('up', flush=True); s.settimeout(2)\n"
                "try: print('told', s.recv(1))\n"
                "except OSError as e: print(type(e).__name__)")
    peer = subprocess.Popen([sys.executable, "-c", listener.format(lab.machine("m2")["ip"])],
                            stdout=subprocess.PIPE, text=True)
    assert peer.stdout.readline() == "up\n"
    lab("crash", "m2")
    assert peer.communicate()[0] == "TimeoutError\n"
    lab("boot", "m2")


def test_boot_can_empty_the_disk(lab):
    before = lab.machine("m2")["id"]
    lab.inside("m2", "touch", "/var/lib/old")
    lab("crash", "m2")
    looking = os.open(layouts.Layout(lab.name).machine(2).root, os.O_RDONLY)
    try:
        lab("boot", "m2", "--wipe")
    finally:
        os.close(looking)
    assert lab.inside("m2", "ls", "/var/lib/old", check=False).returncode == 2
    assert lab.machine("m2")["id"] == before
    assert lab("ssh", "m2", "hostname").stdout == "m2\n"


def test_reboot_returns_when_the_machine_is_back(lab):
    lab.inside("m1", "sh", "-c", "echo kept > /root/kept; touch /run/old")
    before = lab.machine("m1")["pid"]
    lab("reboot", "m1")
    assert lab.machine("m1")["pid"] != before
    assert lab.inside("m1", "sh", "-c", "cat /root/kept; ls /run/old", check=False).stdout \
        == "kept\n"
    assert lab("ssh", "m1", "hostname").stdout == "m1\n"


@pytest.mark.parametrize("verb", ["reboot", "boot"])
def test_power_may_be_lost_in_the_middle_of_a_boot(lab, verb):
    pid = lab.machine("m2")["pid"]
    if verb == "boot":
        lab("crash", "m2")
    coming = subprocess.Popen([LAB, verb, "--name", lab.name, "m2"], stderr=subprocess.DEVNULL)
    eventually(lambda: lab.machine("m2")["state"] != "crashed"
               and lab.machine("m2")["pid"] != pid)
    lab("crash", "m2")
    coming.kill()
    coming.wait()
    assert lab.machine("m2")["state"] == "crashed"
    lab("boot", "m2")
    assert lab.inside("m2", "systemctl", "is-system-running").stdout == "running\n"


def test_poweroff_is_not_a_crash(lab):
    lab("poweroff", "m1")
    assert lab.machine("m1")["state"] == "off"
    lab("boot", "m1")


def test_a_partition_cuts_a_machine_from_everybody_until_healed(lab):
    m1, m2 = lab.machine("m1")["ip"], lab.machine("m2")["ip"]
    gateway = m1.rsplit(".", 1)[0] + ".1"
    assert lab.reaches("m2", m1)
    lab("partition", "m1")
    assert lab.machine("m1")["partitioned"] == ["*"]
    assert not lab.reaches("m2", m1)
    assert not lab.reaches("m1", m2)
    assert not lab.reaches("m1", gateway)
    assert "state UP" in lab.inside("m1", "ip", "link", "show", "host0").stdout
    lab("reboot", "m1")
    assert not lab.reaches("m1", m2)
    lab("heal", "m1")
    assert lab.reaches("m2", m1)
    assert lab.reaches("m1", gateway)
    assert lab.machine("m1")["partitioned"] == []


def test_a_partition_may_be_from_one_peer_only(lab):
    etcd = lab.status()["etcd"][0]["endpoint"].split("//")[1].split(":")[0]
    m2 = lab.machine("m2")["ip"]
    lab("partition", "m1", "--from", "etcd")
    assert not lab.reaches("m1", etcd)
    assert lab.reaches("m1", m2)
    lab("partition", "m1", "--from", "m2")
    lab("heal", "m1", "--from", "etcd")
    assert lab.reaches("m1", etcd)
    assert not lab.reaches("m1", m2)
    lab("heal", "all")
    assert lab.reaches("m1", m2)


def test_a_partition_may_be_one_way(lab):
    """m2 still gets what m1 sends."""
    def heard():
        names, values = [line.split() for line in
                         lab.inside("m2", "grep", "^Icmp:", "/proc/net/snmp").stdout.splitlines()]
        return int(values[names.index("InEchos")])
    m2 = lab.machine("m2")["ip"]
    assert lab.reaches("m1", m2)
    for way, arrives in (("in", True), ("out", False)):
        before = heard()
        lab("partition", "m1", "--only", way)
        assert lab.machine("m1")["partitioned"] == [f"*:{way}"]
        assert not lab.reaches("m1", m2)
        assert (heard() > before) == arrives
        lab("heal", "m1")
    assert lab.reaches("m1", m2)


def pings(lab, count=40):
    """(percent of answers lost, average round trip in ms) between m1 and m2."""
    said = lab.inside("m1", "ping", "-q", f"-c{count}", "-i0.02", "-W1", lab.machine("m2")["ip"],
                      check=False).stdout
    lost = float(re.search(r"([0-9.]+)% packet loss", said).group(1))
    times = re.search(r"rtt [^=]*= [0-9.]+/([0-9.]+)", said)
    return lost, float(times.group(1)) if times else None


def test_a_network_may_lose_packets(lab):
    assert pings(lab)[0] == 0
    lab("impair", "m1", "--loss", "30")
    assert 15 < pings(lab, 200)[0] < 85  # half of them: there and back
    lab("impair", "m1")
    assert pings(lab)[0] == 0


def test_a_network_may_delay_packets(lab):
    lab("impair", "m1", "--delay", "50")
    lost, milliseconds = pings(lab)
    assert lost == 0 and 100 <= milliseconds < 150
    lab("partition", "m1")
    assert pings(lab, 3)[0] == 100
    lab("heal", "m1")
    assert lab("ssh", "m1", "seq 100000 | sha256sum").stdout == subprocess.run(
        "seq 100000 | sha256sum", shell=True, capture_output=True, text=True).stdout
    lab("impair", "m1")
    assert pings(lab)[1] < 50


def test_a_network_may_be_slow(lab):
    def limits():
        veth = layouts.Layout(lab.name).machine(1).veth
        here = subprocess.run(["tc", "qdisc", "show", "dev", veth],
                              capture_output=True, text=True, check=True).stdout
        return (here + lab.inside("m1", "tc", "qdisc", "show", "dev", "host0").stdout).count("tbf")
    lab("impair", "m1", "--rate", "128")
    began = time.monotonic()
    assert len(lab("ssh", "m1", "head -c 60000 /dev/zero").stdout) == 60000
    assert time.monotonic() - began > 2  # no host is too fast for that
    assert limits() == 2
    lab("impair", "m1")
    assert limits() == 0


def test_a_machine_that_is_delayed_may_lose_its_power(lab):
    lab("impair", "m2", "--delay", "20")
    lab("crash", "m2")
    lab("boot", "m2")
    lost, milliseconds = pings(lab)
    assert lost == 0 and milliseconds < 20
    lab("impair", "m2", "--delay", "20")
    lab("reboot", "m2")
    assert pings(lab)[0] == 0


@pytest.mark.parametrize("options", [["--loss", "101"], ["--delay", "-1"], ["--rate", "1"]])
def test_an_impossible_network_is_a_usage_error(lab, options):
    assert lab("impair", "m1", *options, check=False).returncode == 2


def test_etcd_keeps_its_data_over_a_stop(lab):
    etcdctl(lab, "put", "key", "value")
    lab("etcd", "stop")
    assert lab.status()["etcd"][0]["state"] == "stopped"
    assert etcdctl(lab, "get", "key", check=False).returncode != 0
    lab("etcd", "start")
    assert etcdctl(lab, "get", "--print-value-only", "key").stdout == "value\n"


def test_etcd_can_be_paused(lab):
    lab("etcd", "pause")
    assert lab.status()["etcd"][0]["state"] == "paused"
    assert etcdctl(lab, "get", "key", check=False).returncode != 0
    lab("etcd", "resume")
    eventually(lambda: etcdctl(lab, "get", "key", check=False).returncode == 0)
    lab("etcd", "pause")
    lab("etcd", "stop")
    lab("etcd", "start")
    assert lab.status()["etcd"][0]["state"] == "running"


def test_two_labs_come_up_at_once_and_do_not_meet():
    names = [fresh_name(), fresh_name()]
    try:
        ups = [subprocess.Popen([LAB, "up", "--name", name, "--no-fleet", "--machines", "2"],
                                stderr=subprocess.DEVNULL) for name in names]
        assert [up.wait() for up in ups] == [0, 0]
        found = [json.loads(run_lab("status", "--name", name, "-o", "json").stdout)
                 for name in names]
        assert found[0]["subnet"] != found[1]["subnet"]
        ids = {machine["id"] for lab in found for machine in lab["machines"]}
        assert len(ids) == 4
        listed = json.loads(run_lab("list", "-o", "json").stdout)
        assert set(names) <= {lab["name"] for lab in listed if lab["phase"] == "up"}
        run_lab("down", "--name", names[0])
        assert run_lab("exec", "--name", names[1], "m2", "--", "true").returncode == 0
    finally:
        for name in names:
            run_lab("down", "--name", name)
    assert remains(names[0]) + remains(names[1]) == []


def test_a_directory_of_the_host_can_be_bound(tmp_path):
    (tmp_path / "file").write_text("seen")
    name = fresh_name()
    try:
        lab = Lab(name, "--machines", "1", "--etcd", "none", "--bind", f"{tmp_path}:/mnt")
        assert lab.inside("m1", "cat", "/mnt/file").stdout == "seen"
    finally:
        run_lab("down", "--name", name)


@pytest.mark.parametrize("verb", ["up", "down", "status", "list", "env", "exec", "ssh", "crash",
                                  "boot", "reboot", "poweroff", "partition", "heal", "etcd",
                                  "logs"])
def test_every_verb_explains_itself_with_an_example(verb):
    assert f"example: {'eval' if verb == 'env' else f'lab {verb}'}" in \
        " ".join(run_lab(verb, "--help").stdout.replace('"$(lab', "").split())
