"""ssh, status and journal of units on other machines, through the user's OpenSSH client."""
import json
import os
import subprocess

import pytest
from cluster import BIN, service, wait_for
from terminal import Terminal

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)


def on(lab, machine, *lines):
    """The text of a service on that machine."""
    return service(*lines, fleet=[f"MachineID={lab.id[machine]}"])


def talker(lab, machine, count):
    """Starts a unit that prints `line 1` to `line count`, and waits for journald to have them."""
    name = "talker.service"
    lab.start(name, on(lab, machine, "ExecStart=/bin/sh -c 'for i in $$(seq %d); do "
                       "echo line $$i; done; exec sleep 1d'" % count))
    wait_for(lambda: f"line {count}\n" in lab.run(machine, "journalctl", "-u", name, "-o", "cat"),
             "the unit's lines")
    return name


@pytest.fixture
def dropped(lab):
    """m2 does not answer to SSH, but stays in the cluster."""
    rule = ["INPUT", "-p", "tcp", "--dport", "22", "-j", "DROP"]
    lab.run("m2", "iptables", "-I", *rule)
    yield
    lab.run("m2", "iptables", "-D", *rule)


# --- commands ------------------------------------------------------------------------------------

@pytest.mark.parametrize("code", [0, 1, 2, 4, 7, 126, 127, 254])
def test_the_exit_status_is_the_remote_commands(lab, code):
    assert lab.ctl("ssh", lab.id["m2"], f"echo out; echo err >&2; exit {code}",
                   status=code).stdout == "out\n"


@pytest.mark.parametrize("command", ["exit 255", "kill -TERM $$"])
def test_a_remote_command_that_ends_like_a_failed_connection_is_not_told_to_be_one(lab, command):
    done = lab.ctl("ssh", lab.id["m2"], command, status=255)
    assert "ssh-add" not in done.stderr


def test_the_words_of_a_command_make_one_line_for_the_shell_there(lab):
    machine = lab.id["m2"]
    assert lab.ctl("ssh", machine, "echo", "a;", "echo", "-l", "--full").stdout == "a\n-l --full\n"
    assert lab.ctl("ssh", "--machine", machine, "echo", "-n", "x").stdout == "x"
    assert lab.ctl("ssh", machine, "echo", "$HOSTNAME").stdout == "m2\n"
    assert lab.ctl("ssh", machine, "--", "echo", "-l").stdout == "-l\n"
    assert "bash" in lab.ctl("ssh", machine, "-V", status=2).stderr  # no option of ssh's


def test_standard_input_and_output_pass_through_byte_for_byte(lab):
    data = bytes(range(256)) * 1000
    done = lab.ctl("ssh", lab.id["m2"], "cat", input=data, binary=True)
    assert done.stdout == data


def test_without_a_command_and_a_terminal_the_shell_reads_the_input(lab):
    done = lab.ctl("ssh", lab.id["m2"], input="hostname\nexit 9\n", status=9)
    assert done.stdout.endswith("m2\n")  # after what the login greets with


def test_a_target_that_is_a_unit_and_another_machine_is_refused_until_it_is_said_which(lab):
    begin = lab.id["m1"][:8]
    lab.start(f"{begin}.service", on(lab, "m2"))
    said = lab.ctl("ssh", begin, "hostname", status=1).stderr
    assert "--unit" in said and "--machine" in said
    assert lab.ctl("ssh", "--unit", begin, "hostname").stdout == "m2\n"
    assert lab.ctl("ssh", "--machine", begin, "hostname").stdout == "m1\n"


def test_a_target_of_several_machines_or_none_is_refused(lab, tmp_path):
    """An identifier that begins two machines' ids needs machines that are made up."""
    prefix = "abc"
    script = tmp_path / "api.py"
    script.write_text(f"""
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path.startswith("/fleet/v1/machines")
        machines = [{{"id": "{prefix}" + c * 29, "primaryIP": "127.0.0.1"}} for c in "12"]
        body = json.dumps({{"machines": machines}} if found else
                          {{"error": {{"code": 404, "message": "unit does not exist"}}}}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
""")
    with subprocess.Popen(["/usr/bin/python3", script], stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL) as server:
        try:
            env = {"FLEETCTL_ENDPOINT": f"http://127.0.0.1:{server.stdout.readline().strip()}"}
            for arguments in (["ssh", prefix, "true"], ["ssh", "--machine", prefix, "true"]):
                said = lab.ctl(*arguments, env=env, status=1).stderr
                assert prefix + 29 * "1" in said and prefix + 29 * "2" in said
            lab.ctl("ssh", prefix + "3", "true", env=env, status=4)
        finally:
            server.kill()


def test_a_unit_that_runs_nowhere_has_no_machine_to_go_to(lab):
    lab.file("idle.service")
    lab.ctl("submit", "idle")
    for arguments in (["ssh", "idle", "true"], ["ssh", "--unit", "idle", "true"],
                      ["journal", "idle"]):
        said = lab.ctl(*arguments, status=1).stderr
        assert "idle.service" in said and "inactive" in said


# --- how it connects -----------------------------------------------------------------------------

def test_the_user_and_the_port_can_be_chosen(lab):
    known = lab.files / "port_hosts"
    lab.shell("m2", "systemd-run --quiet --collect --unit=other-sshd /usr/sbin/sshd -D -p 2222")
    try:
        wait_for(lambda: lab.run("m2", "ss", "-Hltn", "sport = :2222"), "the second sshd")
        lab.start("there.service", on(lab, "m2"))
        env = {"FLEETCTL_KNOWN_HOSTS_FILE": str(known)}
        done = lab.ctl("--ssh-username=root", "ssh", "--ssh-port=2222", lab.id["m2"],
                       "id -un; echo $SSH_CONNECTION", env=env, input="yes\n",
                       start_new_session=True)
        user, connection = done.stdout.splitlines()[-2:]
        assert user == "root" and connection.endswith(f"{lab.ip['m2']} 2222")
        assert known.read_text().startswith(f"[{lab.ip['m2']}]:2222 ")
        # What was learnt is of that port; the other commands take the flag too.
        for arguments in (["status", "there", "--ssh-port", "2222"],
                          ["journal", "--ssh-port=2222", "there"]):
            assert "there.service" in lab.ctl(*arguments, env=env, stdin=subprocess.DEVNULL).stdout
    finally:
        lab.run("m2", "systemctl", "stop", "other-sshd")
    refused = lab.ctl("ssh", "--ssh-port=2222", lab.id["m2"], "true", env=env, status=255)
    assert "Connection refused" in refused.stderr


def test_a_machine_that_does_not_answer_ends_after_the_ssh_timeout(lab, dropped):
    lab.start("quiet.service", on(lab, "m2"))
    for env, arguments in (({}, ["ssh", "--ssh-timeout", "1", lab.id["m2"], "true"]),
                           ({}, ["--ssh-timeout=1s", "journal", "quiet"]),
                           ({"FLEETCTL_SSH_TIMEOUT": "1"}, ["status", "quiet"])):
        done = lab.ctl(*arguments, env=env, status=None)
        assert done.returncode not in (0, 3) and done.stdout == ""
        assert lab.ip["m2"] in done.stderr and "timed out" in done.stderr
    assert "soon" in lab.ctl("--ssh-timeout=soon", "ssh", "quiet", "true", status=2).stderr


@pytest.mark.parametrize("verb, code", [("ssh", 255), ("status", 1), ("journal", 1)])
def test_without_an_agent_and_a_key_that_works_the_error_is_clear(lab, verb, code):
    lab.start("locked.service", on(lab, "m2"))
    done = lab.ctl(verb, "locked", *(["true"] if verb == "ssh" else []), status=code,
                   env={"SSH_AUTH_SOCK": ""})
    assert done.stdout == ""
    assert f"core@{lab.ip['m2']}" in done.stderr
    assert "Permission denied" in done.stderr and "ssh-add" in done.stderr


@pytest.fixture
def agent(lab):
    """The socket of an ssh-agent of this test that has the lab's key."""
    socket = lab.files / "agent.sock"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(socket.exists, "the agent's socket")
            subprocess.run(["ssh-add", "-q", lab.env["FLEETLAB_SSH_KEY"]], check=True,
                           env={**os.environ, "SSH_AUTH_SOCK": str(socket)})
            yield str(socket)
        finally:
            process.terminate()


@pytest.mark.parametrize("flag", ["-A", "--A", "--forward-agent"])
def test_the_agent_is_forwarded_when_asked_to(lab, agent, flag):
    show = "ssh-keygen -lf " + lab.env["FLEETLAB_SSH_KEY"]
    key = subprocess.run(show.split(), capture_output=True, text=True, check=True).stdout.split()[1]
    # From there on to the next machine with it.
    onward = f"ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR core@{lab.ip['m1']} hostname"
    said = lab.ctl("ssh", flag, lab.id["m2"], f"ssh-add -l; {onward}",
                   env={"SSH_AUTH_SOCK": agent}).stdout
    assert key in said and said.endswith("\nm1\n")


def test_the_agent_is_not_forwarded_otherwise(lab, agent):
    done = lab.ctl("ssh", lab.id["m2"], "echo agent=$SSH_AUTH_SOCK", env={"SSH_AUTH_SOCK": agent})
    assert done.stdout == "agent=\n"


# --- on a terminal -------------------------------------------------------------------------------

def terminal(lab, *arguments):
    return Terminal([str(BIN / "fleetctl"), *arguments], cwd=lab.files,
                    env={**lab.env, "TERM": "xterm"})


def test_a_shell_without_a_command_has_a_terminal(lab):
    with terminal(lab, "ssh", lab.id["m2"]) as shell:
        shell.expect("core@m2")
        shell.send("tty; echo $((40 + 2))\n")
        shell.expect("/dev/pts/")
        shell.expect("42")
        shell.send("exit 5\n")
        assert shell.end() == 5


def test_a_command_has_no_terminal(lab):
    with terminal(lab, "ssh", lab.id["m2"], "tty") as shell:
        shell.expect("not a tty")
        assert shell.end() == 1


def test_an_interrupt_at_the_terminal_ends_what_runs_there(lab):
    lab.start("ticks.service", on(lab, "m2", "ExecStart=/bin/sh -c 'while :; do echo tick; "
                                  "sleep 0.1; done'"))
    for arguments in (["journal", "-f", "ticks"], ["ssh", "ticks", "journalctl -fu ticks"]):
        with terminal(lab, *arguments) as follower:
            follower.expect("tick")
            follower.send("\x03")
            assert follower.end() != 0
    wait_for(lambda: not lab.run("m2", "pgrep", "-u", "core", "journalctl", status=None),
             "journalctl to end with its connection")


# --- journal -------------------------------------------------------------------------------------

def test_journal_gives_ten_lines_or_as_many_as_asked_for(lab):
    name = talker(lab, "m2", 30)

    def count(*arguments):
        return len(lab.ctl("journal", "--output=cat", *arguments, name).stdout.splitlines())
    assert [count(), count("--lines", "4"), count("-n", "12")] == [10, 4, 12]
    lab.ctl("journal", "--lines=many", name, status=2)


def test_journal_takes_journalctls_output_modes(lab):
    name = talker(lab, "m2", 3)
    entries = [json.loads(line) for line in
               lab.ctl("journal", "--output", "json", name).stdout.splitlines()]
    assert {"line 1", "line 2", "line 3"} <= {entry["MESSAGE"] for entry in entries}
    assert {entry["_HOSTNAME"] for entry in entries} == {"m2"}
    assert "line 2\n" in lab.ctl("journal", "-o", "cat", name).stdout
    assert "bogus" in lab.ctl("journal", "--output=bogus", name, status=1).stderr


def test_journal_shows_what_a_stopped_unit_said(lab):
    name = talker(lab, "m2", 2)
    lab.ctl("stop", name)
    assert "line 2\n" in lab.ctl("journal", "--output=cat", name).stdout


@pytest.mark.parametrize("flag", ["-f", "--follow", "--f"])
def test_journal_follows(lab, flag):
    lab.start("fifo.service", on(lab, "m2", "ExecStartPre=/bin/sh -c 'rm -f /run/f; mkfifo /run/f'",
                                 "ExecStart=/bin/sh -c 'echo ready; while read -r x; do "
                                 "echo got $$x; done <>/run/f'"))
    with subprocess.Popen([str(BIN / "fleetctl"), "journal", flag, "--output=cat", "fifo"],
                          stdout=subprocess.PIPE, text=True, env=lab.env) as follower:
        try:
            assert "ready\n" in iter(follower.stdout.readline, "")
            lab.shell("m2", "echo news > /run/f")
            assert "got news\n" in iter(follower.stdout.readline, "")
        finally:
            lab.run("m2", "pkill", "-u", "core", "journalctl", status=None)
            follower.kill()


def test_ending_fleetctl_ends_its_ssh(lab):
    """Who started fleetctl, and not a terminal, ends it with a signal to it alone."""
    name = talker(lab, "m2", 1)
    with subprocess.Popen([str(BIN / "fleetctl"), "journal", "-f", "--output=cat", name],
                          stdout=subprocess.PIPE, text=True, env=lab.env) as follower:
        assert "line 1\n" in iter(follower.stdout.readline, "")
        follower.terminate()
        try:
            follower.communicate(timeout=10)  # until nobody holds the output any more
        finally:
            lab.run("m2", "pkill", "-u", "core", "journalctl", status=None)
    assert follower.returncode != 0
