"""SIGHUP and SIGUSR1 of fleetd, on a machine that runs units."""
import json

import pytest
from cluster import service, wait_for
from http_client import api_of, fleetd_pid, reload, said, serves, unix_api_of

LAB = {"machines": 1, "ttl": 3, "metadata": ["m1:zone=a"]}
CONF = "/etc/fleet/fleet.conf"
pytestmark = pytest.mark.etcd  # once: the registry makes no difference


@pytest.fixture(name="conf")
def configuration(lab):
    """Changes the machine's fleet.conf by a sed script; afterwards the old one is in effect."""
    lab.run("m1", "cp", CONF, f"{CONF}.kept")
    yield lambda script: lab.run("m1", "sed", "-i", script, CONF)
    lab.run("m1", "mv", f"{CONF}.kept", CONF)
    reload(lab)
    wait_for(lambda: api_of(lab).metadata(lab.id["m1"]) == {"zone": "a"}, "the old metadata")


def listening(lab):
    """{inode: address} of the sockets that fleetd listens at."""
    pid = fleetd_pid(lab)
    links = lab.shell("m1", f"readlink /proc/{pid}/fd/* || true").split()
    mine = {link[8:-1] for link in links if link.startswith("socket:[")}
    tcp = [line.split() for line in lab.run("m1", "cat", "/proc/net/tcp").splitlines()[1:]]
    unix = [line.split() for line in lab.run("m1", "cat", "/proc/net/unix").splitlines()[1:]]
    found = {fields[9]: fields[1] for fields in tcp if fields[3] == "0A" and fields[9] in mine}
    found |= {fields[6]: fields[7] for fields in unix if len(fields) > 7 and fields[6] in mine
              and fields[3] == "00010000"}
    return found


def test_sighup_takes_over_metadata_and_touches_no_unit(lab, conf):
    lab.start("runs.service", service(install=["WantedBy=multi-user.target"]))
    lab.start("zone.service", service(fleet=["MachineMetadata=zone=a"]))
    runs, pid = lab.runs(), fleetd_pid(lab)
    conf("s/zone=a/zone=a,rack=7/")
    reload(lab)
    wait_for(lambda: api_of(lab).metadata(lab.id["m1"]) == {"zone": "a", "rack": "7"},
             "the new metadata")
    assert lab.start("rack.service", service(fleet=["MachineMetadata=rack=7"])) == "m1"
    assert fleetd_pid(lab) == pid
    assert {unit: run for unit, run in lab.runs().items() if unit in runs} == runs


def test_sighup_takes_over_verbosity(lab, conf):
    def work():
        """Lets fleetd do something, and returns how much it has said of that in detail."""
        lab.start("a.service")
        lab.ctl("destroy", "a")
        wait_for(lambda: not lab.local_units("m1"), "it to go")
        return said(lab, priority="debug").count("\n")

    before = work()
    assert work() == before, "quiet by default"
    conf("$averbosity=1")
    reload(lab)
    verbose = work()
    assert verbose > before
    conf("/verbosity/d")
    reload(lab)
    after = work()
    assert work() == after, "quiet again"


def test_sighup_is_logged_as_information(lab):
    reload(lab)
    assert "Reloading configuration" in said(lab, priority="info").splitlines()


def test_sighup_keeps_sockets_and_connections(lab):
    before, pid = listening(lab), fleetd_pid(lab)
    assert len(before) == 2, "fleet.sock and listen="
    with unix_api_of(lab).connect() as unix, api_of(lab).connect() as tcp:
        for connection in (unix, tcp):
            assert connection.ask("GET", "/fleet/v1/units").status == 200
        for _ in range(3):
            reload(lab)
        for connection in (unix, tcp):
            assert connection.ask("GET", "/fleet/v1/units").status == 200
    assert listening(lab) == before and fleetd_pid(lab) == pid


@pytest.mark.parametrize("script, words", [
    ("s/zone=a/zone=b/; $aagent_tll=5s", [":", "agent_tll", 'did you mean "agent_ttl"']),
    ("s/zone=a/zone=b/; $averbosity=much", ["verbosity", "much"]),
    ("s/zone=a/zone=b/; /listen_insecure/d", ["listen", "49153"]),
], ids=["unknown key", "bad value", "unsafe address"])
def test_sighup_with_a_mistake_keeps_what_was_in_effect_and_says_so(lab, conf, script, words):
    lab.start("zone.service", service(fleet=["MachineMetadata=zone=a"]))
    runs, pid = lab.runs(), fleetd_pid(lab)
    conf(script)
    reload(lab)
    told = wait_for(lambda: [line for line in said(lab, priority="err").splitlines()
                             if all(word in line for word in words)], f"the mistake: {words}")
    assert CONF in told[-1] and "stays as it was" in told[-1]
    assert api_of(lab).metadata(lab.id["m1"]) == {"zone": "a"}
    assert lab.runs() == runs and fleetd_pid(lab) == pid
    assert lab.start("works.service") == "m1"


def test_sighup_tells_of_keys_that_need_a_restart(lab, conf):
    conf("$atoken_limit=7\n$apublic_ip=192.0.2.9")
    reload(lab)
    for key in ("token_limit", "public_ip"):
        wait_for(lambda: any(key in line and "restart" in line  # pylint: disable=cell-var-from-loop
                             for line in said(lab, priority="warning").splitlines()), key)
    assert api_of(lab).get("machines")["machines"][0]["primaryIP"] == lab.ip["m1"]


def test_sighup_of_a_configuration_that_has_vanished_changes_nothing(lab, conf):
    conf("s/zone=a/zone=a/")
    lab.run("m1", "mv", CONF, f"{CONF}.away")
    try:
        reload(lab)
        assert serves(unix_api_of(lab))
        lab.start("works.service")
    finally:
        lab.run("m1", "mv", f"{CONF}.away", CONF)


def test_systemctl_reload_is_sighup(lab, conf):
    conf("s/zone=a/zone=c/")
    lab.run("m1", "systemctl", "reload", "fleet")
    wait_for(lambda: api_of(lab).metadata(lab.id["m1"]) == {"zone": "c"}, "the new metadata")
    wait_for(lambda: lab.show("m1", "fleet", "ActiveState", "SubState") ==
             {"ActiveState": "active", "SubState": "running"}, "the end of reloading")


def test_sigusr1_logs_the_states_of_agent_and_engine_as_json(lab):
    lab.start("a.service")
    lab.start("b.service")

    def states():
        """{part: state} of the last words of each."""
        found = {}
        for line in said(lab, priority="info").splitlines():
            part, _, text = line.partition(" ")
            if part in ("agent", "engine") and text.startswith("{"):
                found[part] = json.loads(text)
        return found

    assert states() == {}
    pid = fleetd_pid(lab)
    lab.run("m1", "systemctl", "kill", "-s", "USR1", "fleet")
    shown = wait_for(lambda: (lambda found: found if len(found) == 2 else None)(states()),
                     "agent and engine")
    assert shown["agent"]["joined"] is True and shown["agent"]["installed"] == 2
    assert shown["engine"]["leads"] is True
    assert fleetd_pid(lab) == pid and serves(unix_api_of(lab))


def test_fleetd_starts_without_a_configuration_file_unless_it_is_named(new_lab):
    lab = new_lab(machines=1, etcd="none")
    lab.shell("m1", f"rm {CONF} && systemctl restart fleet")
    api = unix_api_of(lab)
    wait_for(lambda: serves(api), "fleetd without a configuration")
    assert api.put("a.service", "launched").status == 201
    wait_for(lambda: lab.is_active("m1", "a.service"), "its unit")
    assert "none.conf" in lab.shell("m1", "fleetd --config /run/none.conf 2>&1", status=1)
