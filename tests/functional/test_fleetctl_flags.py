"""Flags, their spellings and their environment variables. One machine is enough."""
import re
import socket
import threading

import pytest
from cluster import BIN, service
from terminal import Terminal

LAB = {"machines": 1, "etcd": "none"}

COMMANDS = ("cat destroy fd-forward help journal list-machines list-unit-files list-units load "
            "restart ssh start status stop submit unload verify version").split()
GLOBAL_FLAGS = ("endpoint driver etcd-key-prefix ca-file cert-file key-file tunnel ssh-username "
                "ssh-timeout known-hosts-file strict-host-key-checking request-timeout debug "
                "version help").split()
NOBODY = "http://127.0.0.1:1"


def test_the_help_names_every_command_and_flag(lab):
    shown = lab.ctl("help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", shown, re.M), command
        assert f"fleetctl {command}" in lab.ctl("help", command).stdout
    for flag in GLOBAL_FLAGS:
        assert re.search(rf"--{flag}(=\S+)?  ", shown), flag
    assert "FLEETCTL_" in shown


@pytest.mark.parametrize("command, flags", [
    ("submit", "replace"), ("load", "replace no-block block-attempts timeout"),
    ("start", "replace no-block block-attempts timeout"), ("stop", "no-block block-attempts timeout"),
    ("unload", "no-block block-attempts timeout"), ("destroy", "no-block timeout"),
    ("restart", "no-block block-attempts timeout"), ("journal", "lines follow output sudo ssh-port"),
    ("ssh", "machine unit forward-agent ssh-port"), ("status", "ssh-port"),
    ("list-units", "full no-legend fields"), ("list-machines", "full no-legend fields"),
    ("list-unit-files", "full no-legend fields")])
def test_the_help_of_a_command_names_its_flags(lab, command, flags):
    shown = lab.ctl(command, "--help").stdout
    assert [flag for flag in flags.split() if f"--{flag}" not in shown] == []


@pytest.mark.parametrize("words", [
    ["--full", "list-machines", "--no-legend"], ["list-machines", "--full", "--no-legend"],
    ["--no-legend", "--full", "list-machines"], ["-l", "list-machines", "--no-legend"],
    ["--l", "--no-legend", "list-machines"], ["list-machines", "--l", "--no-legend"],
    ["-full", "-no-legend", "list-machines"], ["--full=true", "list-machines", "--no-legend=1"],
    ["--endpoint", "{}", "--full", "list-machines", "--no-legend"],
    ["list-machines", "--endpoint={}", "-l", "--no-legend"],
    ["-endpoint", "{}", "list-machines", "-l", "--no-legend"],
    ["--fields", "machine,ip,metadata", "list-machines", "-l", "--no-legend"],
    ["list-mach", "-l", "--no-legend"]], ids=" ".join)
def test_flags_stand_before_or_after_the_command(lab, words):
    real = lab.env["FLEETCTL_ENDPOINT"]
    named = any("{}" in word for word in words)
    done = lab.ctl(*[word.replace("{}", real) for word in words],
                   env={"FLEETCTL_ENDPOINT": NOBODY} if named else {})
    assert done.stdout.split() == [lab.id["m1"], lab.ip["m1"], "-"]


@pytest.mark.parametrize("words", [["-v"], ["--version"], ["-version"], ["--v"], ["version"],
                                   ["list-units", "--version"]], ids=" ".join)
def test_the_version_is_one_line_without_a_cluster(lab, words):
    done = lab.ctl(*words, env={"FLEETCTL_ENDPOINT": NOBODY})
    daemon = lab.run("m1", "fleetd", "--version")
    assert done.stdout == daemon.replace("fleetd", "fleetctl") and done.stderr == ""
    assert re.fullmatch(r"fleetd version \S+\n", daemon)


@pytest.mark.parametrize("words", [[], ["help"], ["-h"], ["--h"], ["--help"], ["-help"]],
                         ids=" ".join)
def test_the_help_needs_no_cluster_either(lab, words):
    done = lab.ctl(*words, env={"FLEETCTL_ENDPOINT": NOBODY})
    assert done.stdout == lab.ctl("help").stdout and done.stderr == ""
    assert lab.ctl("version").stdout.split()[-1] in done.stdout


@pytest.mark.parametrize("flag", ["--etcd-cafile=x", "--etcd-certfile=x", "--etcd-keyfile=x",
                                  "--experimental-api", "--experimental-api=true", "--sign"])
def test_old_flags_are_ignored_with_a_notice(lab, flag):
    plain = lab.ctl("list-machines").stdout
    name = flag.split("=")[0]
    for words in ([flag, "list-machines"], ["list-machines", flag]):
        done = lab.ctl(*words)
        assert done.stdout == plain
        assert name in done.stderr and len(done.stderr.splitlines()) == 1
    if flag.endswith("=x"):
        assert lab.ctl(name, "x", "list-machines").stdout == plain


@pytest.mark.parametrize("words, said", [
    (["--driver=raft", "list-units"], "raft"), (["--endpoint=ftp://x", "list-units"], "ftp://x"),
    (["--endpoint=relative.sock", "list-units"], "relative.sock"),
    (["--endpoint", "http://x:y", "list-units"], "http://x:y"),
    (["--request-timeout=soon", "list-units"], "--request-timeout"),
    (["start", "--block-attempts=many", "x"], "--block-attempts"),
    (["start", "--timeout=-1s", "x"], "--timeout"), (["list-units", "--endpoint"], "--endpoint"),
    (["start", "--no-block=perhaps", "x"], "--no-block"), (["list-unit", "x"], "list-unit"),
    (["strat", "x"], "start"), (["start", "--no-blok", "x"], "--no-block")], ids=str)
def test_what_does_not_read_is_a_usage_error(lab, words, said):
    done = lab.ctl(*words, status=2)
    assert said in done.stderr and done.stdout == ""


def test_flags_come_from_the_environment_unless_they_are_given(lab):
    def words(*arguments, **env):
        return lab.ctl(*arguments, env={f"FLEETCTL_{key}": value for key, value in env.items()})
    lab.file("e.service", service("Type=oneshot", "ExecStart=/bin/sleep 1d"))
    assert words("start", "e", NO_BLOCK="true").stdout == "Triggered unit e.service start\n"
    assert words("list-machines", NO_LEGEND="1", FULL="yes").stdout.startswith(lab.id["m1"])
    assert words("list-unit-files", FIELDS="unit", NO_LEGEND="t").stdout == "e.service\n"
    assert words("list-unit-files", "--no-legend=false", FIELDS="unit",
                 NO_LEGEND="t").stdout.split() == ["UNIT", "e.service"]
    assert "DEBUG" in words("list-units", DEBUG="true").stderr
    real = lab.env["FLEETCTL_ENDPOINT"]
    assert words("--endpoint", real, "list-unit-files", "-o", "name",
                 ENDPOINT=NOBODY).stdout == "e.service\n"
    for name, value in (("DEBUG", "perhaps"), ("DRIVER", "raft"), ("ENDPOINT", "ftp://x"),
                        ("REQUEST_TIMEOUT", "soon")):
        assert value in lab.ctl("list-units", env={f"FLEETCTL_{name}": value}, status=2).stderr


def test_debug_tells_each_request_and_leaves_the_output_alone(lab):
    plain, debug = lab.ctl("list-machines"), lab.ctl("--debug", "list-machines")
    assert debug.stdout == plain.stdout and plain.stderr == ""
    assert "GET /fleet/v1/machines" in debug.stderr and "200" in debug.stderr
    assert lab.env["FLEETCTL_ENDPOINT"] in debug.stderr
    failed = lab.ctl("--debug", "list-machines", env={"FLEETCTL_ENDPOINT": NOBODY}, status=7)
    assert failed.stderr.count("refused") > 1


@pytest.fixture
def silent():
    """The endpoint of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        kept = []
        thread = threading.Thread(target=lambda: kept.append(server.accept()), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection, _ in kept:
            connection.close()


@pytest.mark.parametrize("given", ["0.2", "200ms", "environment"])
def test_a_server_that_does_not_answer_ends_after_the_request_timeout(lab, silent, given):
    flag = [] if given == "environment" else ["--request-timeout", given]
    done = lab.ctl(*flag, "list-units", status=1, env={
        "FLEETCTL_ENDPOINT": silent,
        "FLEETCTL_REQUEST_TIMEOUT": "0.2" if given == "environment" else "60"})
    assert silent in done.stderr and "time" in done.stderr


def test_verify_tells_of_each_file(lab):
    lab.file("good.service")
    lab.file("typo.service", service(fleet=["Globl=true"]))
    done = lab.ctl("verify", "good.service", "typo.service", "absent.service", status=1,
                   env={"FLEETCTL_ENDPOINT": NOBODY})
    assert done.stdout == "good.service: ok\n"
    assert "typo.service" in done.stderr and '"Global"' in done.stderr
    assert "absent.service" in done.stderr
    lab.ctl("verify", "absent.service", "typo.service", status=4)
    forced = lab.ctl("verify", "--force", "typo.service")
    assert forced.stdout == "typo.service: ok\n" and "Globl" in forced.stderr


def test_there_is_no_colour_with_no_color(lab):
    lab.file("fails.service", service("Type=oneshot", "ExecStart=/bin/false"))
    for words in (["list-machines"], ["start", "fails"], ["list-units"], ["list-unit-files"],
                  ["destroy", "fails"]):
        with Terminal([str(BIN / "fleetctl"), *words], cwd=lab.files,
                      env={**lab.env, "NO_COLOR": "1", "TERM": "xterm"}) as terminal:
            terminal.end()
            assert "\x1b" not in terminal.output and terminal.output


def test_data_is_on_stdout_and_talk_on_stderr(lab):
    lab.file("kept.service")
    lab.ctl("submit", "kept")
    lab.file("kept.service", service("Environment=V=2"))
    for words in (["start", "kept"], ["start", "kept", "absent"], ["list-units", "--sign"]):
        done = lab.ctl(*words, status=None)
        assert all(line.startswith(("Unit ", "UNIT", "kept.service"))
                   for line in done.stdout.splitlines())
        assert done.stderr
