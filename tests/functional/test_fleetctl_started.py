"""When start says that a unit has started, and when that it has not. One machine is enough."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 1, "etcd": "none"}


def test_a_path_unit_has_started_when_it_waits(lab):
    lab.file("seen.service", service("Type=oneshot", "ExecStart=/bin/true"))
    lab.file("seen.path", "[Path]\nPathExists=/run/never\n")
    lab.ctl("load", "seen.service")
    assert "Unit seen.path launched on" in lab.ctl("start", "seen.path").stdout
    assert lab.show("m1", "seen.path", "SubState") == {"SubState": "waiting"}


def test_a_mount_and_a_target_have_started(lab):
    lab.file("run-place.mount", "[Mount]\nWhat=none\nWhere=/run/place\nType=tmpfs\n")
    lab.file("group.target", "[Unit]\nDescription=some units\n")
    done = lab.ctl("start", "run-place.mount", "group.target")
    assert sorted(line.split(" on ")[0] for line in done.stdout.splitlines()) == [
        "Unit group.target launched", "Unit run-place.mount launched"]
    lab.run("m1", "mountpoint", "/run/place")
    lab.ctl("destroy", "run-place.mount")
    lab.run("m1", "mountpoint", "/run/place", status=32)


def test_a_oneshot_has_started_when_it_has_finished(lab):
    lab.run("m1", "rm", "-f", "/run/finished")
    lab.file("once.service", service("Type=oneshot",
                                     "ExecStart=/bin/sh -c 'sleep 0.5; touch /run/finished'"))
    assert "Unit once.service launched on" in lab.ctl("start", "once").stdout
    lab.run("m1", "test", "-e", "/run/finished")


@pytest.mark.parametrize("lines, result", [
    (["Type=oneshot", "ExecStart=/bin/sh -c 'echo the cause; exit 3'"], "exit-code"),
    (["ExecStartPre=/bin/sh -c 'echo the cause; exit 3'", "ExecStart=/bin/sleep 1d"], "exit-code"),
    (["Type=notify", "ExecStart=/bin/sh -c 'echo the cause; kill -SEGV $$$$'"], "signal"),
    (["Type=notify", "ExecStart=/bin/sh -c 'echo the cause; exec sleep 1d'", "TimeoutStartSec=1"],
     "timeout"),
    (["Type=notify", "ExecStart=/bin/echo the cause"], "protocol"),
    # Not yet failed when its job has ended.
    (["Type=notify", "NotifyAccess=all",
      "ExecStart=/bin/sh -c 'echo the cause; systemd-notify --ready; exit 1'"], "exit-code"),
    # systemd will start it again, by and by.
    (["Type=notify", "ExecStart=/bin/sh -c 'echo the cause; exit 1'", "Restart=always",
      "RestartSec=1d"], "exit-code"),
], ids=["oneshot", "pre", "signal", "timeout", "protocol", "soon after", "auto-restart"])
def test_one_that_fails_is_told_with_systemds_result_and_its_last_lines(lab, lines, result):
    lab.file("fails.service", service(*lines))
    done = lab.ctl("start", "fails", status=1)
    assert done.stdout == ""
    assert f"fails.service failed on {lab.id['m1'][:8]}.../{lab.ip['m1']}" in done.stderr
    assert result in done.stderr.splitlines()[0] and "the cause" in done.stderr


def test_the_last_lines_are_those_of_this_start(lab):
    lab.run("m1", "rm", "-f", "/run/broken")
    lab.file("twice.service", service("ExecStart=/bin/sh -c 'if [ -e /run/broken ]; then "
                                      "echo broken now; exit 1; fi; echo all well; sleep 1d'"))
    lab.ctl("start", "twice")
    lab.run("m1", "touch", "/run/broken")
    said = lab.ctl("restart", "twice", status=1).stderr
    assert "broken now" in said and "all well" not in said


def test_one_that_failed_starts_when_its_cause_is_gone(lab):
    lab.run("m1", "touch", "/run/broken")
    lab.file("mended.service", service("ExecStartPre=/usr/bin/test ! -e /run/broken"))
    lab.ctl("start", "mended", status=1)
    lab.run("m1", "rm", "/run/broken")
    assert "launched on" in lab.ctl("start", "mended").stdout
    assert lab.is_active("m1", "mended.service")


@pytest.mark.parametrize("lines", [["Type=oneshot"], ["Type=exec"]], ids=["oneshot", "exec"])
def test_one_that_has_run_to_its_end_is_run_again_by_each_start(lab, lines):
    lab.run("m1", "rm", "-f", "/run/count")
    lab.file("job.service", service(*lines, "ExecStart=/bin/sh -c 'echo ran >> /run/count'"))
    for times in (1, 2, 3):
        assert "Unit job.service launched on" in lab.ctl("start", "job").stdout
        wait_for(lambda: not lab.is_active("m1", "job.service"), "its end")
        wait_for(lambda: lab.states("job.service") == {"m1": "inactive"}, "fleet to know")
        assert lab.run("m1", "cat", "/run/count") == "ran\n" * times


def test_a_oneshot_that_remains_is_not_run_again(lab):
    lab.file("stays.service", service("Type=oneshot", "RemainAfterExit=yes", "ExecStart=/bin/true"))
    lab.ctl("start", "stays")
    before = lab.show("m1", "stays.service")
    assert before["ActiveState"] == "active"
    assert "Unit stays.service launched on" in lab.ctl("start", "stays").stdout
    assert lab.show("m1", "stays.service") == before


def test_start_of_one_that_runs_leaves_it_alone(lab):
    lab.start("runs.service")
    before = lab.show("m1", "runs.service")
    assert "Unit runs.service launched on" in lab.ctl("start", "runs").stdout
    assert lab.show("m1", "runs.service") == before


def test_a_stop_is_over_when_the_process_is(lab):
    lab.file("slow.service", service("ExecStop=/bin/sleep 0.5"))
    lab.ctl("start", "slow")
    pid = lab.show("m1", "slow.service", "MainPID")["MainPID"]
    lab.ctl("stop", "slow")
    lab.run("m1", "test", "-e", f"/proc/{pid}", status=1)


@pytest.mark.parametrize("verb, wanted", [("stop", "loaded"), ("unload", "inactive"),
                                          ("destroy", "destroyed"), ("restart", "launched")])
def test_each_wait_can_be_bounded(lab, verb, wanted):
    """By a unit that is slow to stop."""
    lab.run("m1", "rm", "-f", "/run/go")
    lab.file("slow.service", service("ExecStop=/bin/sh -c 'until [ -e /run/go ]; do sleep 0.1; "
                                     "done'"))
    lab.ctl("start", "slow")
    said = lab.ctl(verb, "--timeout=300ms", "slow", status=5).stderr
    assert "slow.service" in said and wanted in said
    lab.run("m1", "touch", "/run/go")


def test_without_blocking_each_verb_is_only_triggered(lab):
    lab.file("quick.service")
    for verb, state in (("load", "loaded"), ("start", "launched"), ("restart", "launched"),
                        ("stop", "loaded"), ("unload", "inactive"), ("start", "launched")):
        done = lab.ctl(verb, "--no-block", "quick")
        assert done.stdout == f"Triggered unit quick.service {verb}\n"
        wait_for(lambda: lab.unit("quick.service")["currentState"] == state,  # pylint: disable=cell-var-from-loop
                 lambda: lab.unit("quick.service"))
    assert lab.ctl("destroy", "--no-block", "quick").stdout == "Destroyed quick.service\n"
    wait_for(lambda: not lab.is_active("m1", "quick.service"), "it to stop")


def test_no_limit_is_no_limit(lab):
    lab.file("once.service", service("Type=oneshot", "ExecStart=/bin/sleep 0.3"))
    assert "launched on" in lab.ctl("start", "--block-attempts=0", "once").stdout
    lab.ctl("destroy", "once")
    assert "launched on" in lab.ctl("start", "--block-attempts", "10", "once").stdout
