"""What fleetctl prints and how it ends, verb by verb."""
import base64
import re

import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 3}
PLACE = r"[0-9a-f]{8}\.\.\./\d+\.\d+\.\d+\.\d+"


def lines(done):
    return done.stdout.splitlines()


def test_submit_stores_and_nothing_runs(lab):
    lab.file("a.service")
    assert lab.ctl("submit", "a.service").stdout == "Unit a.service inactive\n"
    assert lab.unit("a.service")["desiredState"] == "inactive"
    assert lab.list("list-units") == []


def test_a_unit_goes_up_and_down_through_its_states(lab):
    lab.file("b.service")
    loaded, launched, inactive = (rf"Unit b\.service {state}( on {PLACE})?\n"
                                  for state in ("loaded", "launched", "inactive"))
    for verb, said, desired, active in (
            ("submit", inactive, "inactive", None), ("load", loaded, "loaded", "inactive"),
            ("start", launched, "launched", "active"), ("stop", loaded, "loaded", "inactive"),
            ("start", launched, "launched", "active"), ("unload", inactive, "inactive", None)):
        assert re.fullmatch(said, lab.ctl(verb, "b").stdout), verb
        assert lab.unit("b.service")["desiredState"] == desired
        assert list(lab.states("b.service").values()) == ([active] if active else []), verb
    assert lab.ctl("destroy", "b").stdout == "Destroyed b.service\n"
    assert lab.units() == {}


def test_start_names_the_machine_where_systemd_runs_the_unit(lab):
    machine = lab.start("c.service")
    assert lab.ctl("start", "c").stdout == (
        f"Unit c.service launched on {lab.id[machine][:8]}.../{lab.ip[machine]}\n")
    assert [name for name in lab.machines if lab.is_active(name, "c.service")] == [machine]


def test_restart_starts_the_process_anew_on_the_same_machine(lab):
    machine = lab.start("d.service")
    before = lab.show(machine, "d.service")
    lab.ctl("restart", "d")
    after = lab.show(machine, "d.service")
    assert lab.where("d.service") == machine
    assert after["MainPID"] != before["MainPID"]
    assert after["ActiveState"] == "active"


@pytest.mark.parametrize("verb", ["stop", "restart"])
def test_an_inactive_unit_cannot_be(lab, verb):
    lab.file("e.service")
    lab.ctl("submit", "e")
    assert "inactive" in lab.ctl(verb, "e", status=1).stderr
    assert lab.unit("e.service")["desiredState"] == "inactive"


def test_unload_of_an_inactive_unit_is_done_already(lab):
    lab.file("e.service")
    lab.ctl("submit", "e")
    assert lab.ctl("unload", "e").stdout == "Unit e.service inactive\n"


@pytest.mark.parametrize("content", [
    b"# comment\r\n[Service]\r\nExecStart=/bin/sleep 1d\r\n; other\r\n",
    b"\n\n[Service]\nExecStart=/bin/sh -c \\\n  'sleep 1d'\n# last line without its end",
    "[Unit]\nDescription=Übergrößenträger ☃\n\n\n[Service]\n  ExecStart = /bin/true\t\n".encode(),
], ids=["crlf", "no final newline", "utf-8"])
def test_cat_gives_the_same_bytes_back(lab, content):
    lab.file("bytes.service", content)
    lab.ctl("submit", "bytes")
    assert lab.ctl("cat", "bytes", binary=True).stdout == content
    lab.ctl("load", "bytes")
    machine = lab.of_id[lab.unit("bytes.service")["target"]]
    kept = lab.shell(machine, "base64 -w0 /run/fleet/units/bytes.service")
    assert base64.b64decode(kept) == content


@pytest.mark.parametrize("verb", ["cat", "status", "journal", "ssh", "stop", "unload", "destroy",
                                  "restart", "start", "load", "submit"])
def test_a_unit_that_is_nowhere_is_not_found(lab, verb):
    done = lab.ctl(verb, "nowhere.service", status=4)
    assert "nowhere.service" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("verb", ["cat", "status", "journal", "stop", "unload", "destroy",
                                  "restart", "start", "load", "submit", "verify"])
def test_a_verb_without_a_unit_is_a_usage_error(lab, verb):
    assert verb in lab.ctl(verb, status=2).stderr


@pytest.mark.parametrize("arguments", [["bogus"], ["--bogus"], ["start", "--bogus", "x"],
                                       ["list-units", "--bogus"]])
def test_what_fleetctl_does_not_know_is_a_usage_error(lab, arguments):
    assert "bogus" in lab.ctl(*arguments, status=2).stderr


def test_the_units_that_exist_are_acted_on_although_another_does_not(lab):
    lab.start("f.service")
    done = lab.ctl("stop", "f", "nowhere", status=4)
    assert "Unit f.service loaded on" in done.stdout
    assert "nowhere.service" in done.stderr
    assert lab.active("f.service") == []


def test_nothing_is_stored_when_one_named_file_is_missing(lab):
    lab.file("g.service")
    lab.ctl("start", "g", "nowhere", status=4)
    assert lab.units() == {}


def test_no_eligible_machine_is_said_with_the_reason(lab):
    lab.file("h.service", service(fleet=["MachineMetadata=disk=none"]))
    done = lab.ctl("start", "h", status=6)
    assert "h.service" in done.stderr and "disk=none" in done.stderr
    assert "disk=none" in lab.unit("h.service")["reason"]


def test_a_unit_that_fails_is_told_with_systemds_result_and_its_log(lab):
    lab.file("i.service", service("ExecStart=/bin/sh -c 'echo the last words; exit 3'"))
    done = lab.ctl("start", "i", status=1)
    assert "i.service" in done.stderr and "exit-code" in done.stderr
    assert "the last words" in done.stderr
    assert list(lab.states("i.service").values()) == ["failed"]


def test_no_endpoint_that_answers(lab):
    done = lab.ctl("list-units", env={"FLEETCTL_ENDPOINT": "http://127.0.0.1:1"}, status=7)
    assert "127.0.0.1:1" in done.stderr


def test_the_next_endpoint_is_tried(lab):
    lab.ctl("list-units", env={"FLEETCTL_ENDPOINT":
                               f"http://127.0.0.1:1,http://{lab.ip[lab.machines[-1]]}:49153"})


def test_a_wait_that_is_bounded_ends_with_a_status_of_its_own(lab):
    lab.file("slow.service", service("Type=oneshot", "ExecStart=/bin/sleep 1d"))
    lab.ctl("start", "--timeout=500ms", "slow", status=5)
    lab.ctl("start", "--block-attempts=1", "slow", status=5)


def test_no_block_does_not_wait(lab):
    lab.file("slow.service", service("Type=oneshot", "ExecStart=/bin/sleep 1d"))
    assert lab.ctl("start", "--no-block", "slow").stdout == "Triggered unit slow.service start\n"
    wait_for(lambda: "activating" in lab.states("slow.service").values(), "its start")


def test_a_finished_oneshot_has_started(lab):
    lab.file("oneshot.service", service("Type=oneshot", "ExecStart=/bin/true"))
    assert "launched on" in lab.ctl("start", "oneshot").stdout


def test_a_socket_and_a_timer_have_started_when_they_listen_and_wait(lab):
    machine = lab.start("pair.service")
    follow = f"[X-Fleet]\nMachineID={lab.id[machine]}\n"
    lab.file("clock.service", service(fleet=[f"MachineID={lab.id[machine]}"]))
    lab.file("clock.timer", "[Timer]\nOnCalendar=yearly\n" + follow)
    lab.file("ear.service", service("StandardInput=socket", "ExecStart=/bin/cat",
                                    fleet=[f"MachineID={lab.id[machine]}"]))
    lab.file("ear.socket", "[Socket]\nListenStream=/run/ear.sock\n" + follow)
    lab.ctl("load", "clock.service", "ear.service")
    done = lab.ctl("start", "clock.timer", "ear.socket")
    assert sorted(line.split(" on ")[0] for line in lines(done)) == [
        "Unit clock.timer launched", "Unit ear.socket launched"]
    assert lab.show(machine, "clock.timer", "SubState")["SubState"] == "waiting"
    assert lab.show(machine, "ear.socket", "SubState")["SubState"] == "listening"


def test_install_makes_the_unit_enabled_at_runtime(lab):
    machine = lab.start("wanted.service", service(install=["WantedBy=multi-user.target"]))
    plain = lab.start("plain.service")
    enabled = [lab.run(where, "systemctl", "is-enabled", unit, status=None).strip()
               for where, unit in ((machine, "wanted.service"), (plain, "plain.service"))]
    assert enabled == ["enabled-runtime", "linked-runtime"]


def test_destroy_takes_a_quoted_glob(lab):
    for name in ("web@.service", "web@1.service", "web@2.service", "webby.service"):
        lab.file(name)
    lab.ctl("submit", "web@.service", "web@1", "web@2", "webby")
    assert sorted(lines(lab.ctl("destroy", "web@*.service"))) == [
        "Destroyed web@.service", "Destroyed web@1.service", "Destroyed web@2.service"]
    assert list(lab.units()) == ["webby.service"]
    lab.ctl("destroy", "web@*.service", status=4)


def test_an_unambiguous_prefix_is_the_command(lab):
    assert lab.ctl("vers").stdout == lab.ctl("version").stdout
    lab.ctl("st", status=2)
