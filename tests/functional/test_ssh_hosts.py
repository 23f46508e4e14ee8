"""Host keys: who is asked, what is stored, what is refused."""
import subprocess

import pytest
from cluster import BIN
from terminal import Terminal

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)

QUESTION = "Are you sure you want to continue connecting (yes/no)? "
UNIX = "unix:///var/run/fleet.sock"


class Hosts:
    """fleetctl with a known-hosts file of its own, which is empty to begin with."""

    def __init__(self, lab, tmp_path):
        self.lab = lab
        self.file = tmp_path / "folder" / "known hosts"
        self.env = {"FLEETCTL_KNOWN_HOSTS_FILE": str(self.file)}

    def ctl(self, *arguments, answers="", status=0):
        """Without a terminal, with these lines on the standard input."""
        return self.lab.ctl(*arguments, env=self.env, input=answers, status=status,
                            start_new_session=True)

    def terminal(self, *arguments, **options):
        return Terminal([str(BIN / "fleetctl"), *arguments], cwd=self.lab.files,
                        env={**self.lab.env, **self.env}, **options)

    def stored(self):
        """The names of the hosts in the file."""
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [line.split()[0] for line in lines]


@pytest.fixture
def hosts(lab, tmp_path):
    return Hosts(lab, tmp_path)


@pytest.fixture
def new_key(lab):
    """Gives m2 another host key. The lab's own is back at the end."""
    folder = "/etc/ssh"
    lab.shell("m2", f"mkdir {folder}/kept && cp -p {folder}/ssh_host_ed25519_key* {folder}/kept/")

    def make():
        lab.shell("m2", f"rm {folder}/ssh_host_ed25519_key* && "
                        f"ssh-keygen -q -t ed25519 -N '' -f {folder}/ssh_host_ed25519_key && "
                        "systemctl restart ssh")
    yield make
    lab.shell("m2", f"mv {folder}/kept/* {folder}/ && rmdir {folder}/kept && "
                    "systemctl restart ssh")


def test_an_unknown_key_is_shown_and_asked_for_once(hosts, lab):
    done = hosts.ctl("ssh", lab.id["m2"], "hostname", answers="yes\n")
    assert done.stdout == "m2\n"
    fingerprint = lab.shell("m2", "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]
    assert QUESTION in done.stderr and fingerprint in done.stderr and lab.ip["m2"] in done.stderr
    assert hosts.stored() == [lab.ip["m2"]]
    key = lab.shell("m2", "cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
    assert hosts.file.read_text() == f"{lab.ip['m2']} {key}"
    again = hosts.ctl("ssh", lab.id["m2"], "hostname")
    assert (again.stdout, again.stderr) == ("m2\n", "")


@pytest.mark.parametrize("answer", ["no\n", "\n", "", "y\n", "YES\n", "yes please\n"])
def test_any_other_answer_than_yes_aborts(hosts, lab, answer):
    done = hosts.ctl("ssh", lab.id["m2"], "hostname", answers=answer, status=1)
    assert done.stdout == ""
    assert "not accepted" in done.stderr and lab.ip["m2"] in done.stderr
    assert hosts.stored() == []


@pytest.mark.parametrize("verb", ["status", "journal"])
def test_status_and_journal_ask_too(hosts, lab, verb):
    lab.start("asks.service", "[Service]\nExecStart=/bin/sleep 1d\n"
              f"[X-Fleet]\nMachineID={lab.id['m2']}\n")
    refused = hosts.ctl(verb, "asks", answers="no\n", status=1)
    assert QUESTION in refused.stderr and refused.stdout == ""
    assert "asks.service" in hosts.ctl(verb, "asks", answers="yes\n").stdout
    assert hosts.stored() == [lab.ip["m2"]]


def test_the_command_has_the_input_that_follows_the_answer(hosts, lab):
    done = hosts.ctl("ssh", lab.id["m2"], "cat", answers="yes\nfor the command\n")
    assert done.stdout == "for the command\n"


def test_the_answer_is_read_from_the_terminal_although_the_input_is_another(hosts, lab):
    shell = f"echo yes | {BIN}/fleetctl ssh {lab.id['m2']} cat"
    with Terminal(["sh", "-c", shell], cwd=lab.files, env={**lab.env, **hosts.env}) as terminal:
        terminal.expect(QUESTION)
        terminal.send("no\n")
        terminal.expect("not accepted")
        assert terminal.end() == 1
    assert hosts.stored() == []
    with Terminal(["sh", "-c", shell], cwd=lab.files, env={**lab.env, **hosts.env}) as terminal:
        terminal.expect(QUESTION)
        terminal.send("yes\n")
        terminal.expect("Permanently added")
        terminal.expect("yes")
        assert terminal.end() == 0
    assert hosts.stored() == [lab.ip["m2"]]


def test_a_shell_follows_the_question_on_the_same_terminal(hosts, lab):
    with hosts.terminal("ssh", lab.id["m2"]) as terminal:
        terminal.expect(QUESTION)
        terminal.send("yes\n")
        terminal.expect("core@m2")
        terminal.send("exit 3\n")
        assert terminal.end() == 3


@pytest.mark.parametrize("tunnel", [False, True], ids=["machine", "tunnel"])
def test_a_changed_key_aborts_without_a_question(hosts, lab, new_key, tunnel):
    where = ["--endpoint", UNIX, "--tunnel", lab.ip["m2"]] if tunnel else []
    command = [*where, "list-machines"] if tunnel else ["ssh", lab.id["m2"], "hostname"]
    hosts.ctl(*command, answers="yes\n")
    before = hosts.file.read_text()
    new_key()
    done = hosts.ctl(*command, answers="yes\n", status=None)
    assert done.returncode != 0 and done.stdout == ""
    assert "HAS CHANGED" in done.stderr
    assert QUESTION not in done.stderr
    assert hosts.file.read_text() == before
    # Who says so takes it all the same; and nothing is stored.
    lax = hosts.ctl("--strict-host-key-checking=false", *command)
    assert lax.stderr == "" and lax.stdout != ""
    assert hosts.file.read_text() == before


@pytest.mark.parametrize("given", ["flag", "environment", "off"])
def test_without_strict_checking_nothing_is_asked_or_stored(hosts, lab, given):
    if given != "flag":
        hosts.env["FLEETCTL_STRICT_HOST_KEY_CHECKING"] = "off" if given == "off" else "false"
    flag = ["--strict-host-key-checking=false"] if given == "flag" else []
    done = hosts.ctl(*flag, "ssh", lab.id["m2"], "hostname")
    assert (done.stdout, done.stderr) == ("m2\n", "")
    done = hosts.ctl(*flag, "--endpoint", UNIX, "--tunnel", lab.ip["m1"], "ssh", lab.id["m2"],
                     "hostname")
    assert (done.stdout, done.stderr) == ("m2\n", "")
    assert not hosts.file.parent.exists()


def test_strict_checking_takes_true_or_false_only(hosts, lab):
    for value in ("true", "1"):
        hosts.ctl(f"--strict-host-key-checking={value}", "ssh", lab.id["m2"], "true", status=1)
    done = hosts.ctl("--strict-host-key-checking=ask", "ssh", lab.id["m2"], "true", status=2)
    assert "--strict-host-key-checking" in done.stderr


def test_the_tunnel_and_the_machine_behind_it_are_both_asked_for(hosts, lab):
    through = ["--endpoint", UNIX, "--tunnel", lab.ip["m1"]]
    done = hosts.ctl(*through, "ssh", lab.id["m2"], "hostname", answers="yes\nyes\n")
    assert done.stdout == "m2\n"
    assert done.stderr.count(QUESTION) == 2
    assert hosts.stored() == [lab.ip["m1"], lab.ip["m2"]]
    assert hosts.ctl(*through, "ssh", lab.id["m2"], "hostname").stderr == ""


def test_an_answer_for_the_tunnel_is_none_for_the_machine(hosts, lab):
    through = ["--endpoint", UNIX, "--tunnel", lab.ip["m1"]]
    refused = hosts.ctl(*through, "list-machines", answers="no\n", status=None)
    assert refused.returncode in (1, 7) and refused.stdout == ""
    assert "not accepted" in refused.stderr and hosts.stored() == []
    hosts.ctl(*through, "ssh", lab.id["m2"], "hostname", answers="yes\nno\n", status=1)
    assert hosts.stored() == [lab.ip["m1"]]


def test_the_file_can_be_named_by_a_flag(hosts, lab, tmp_path):
    other = tmp_path / "other"
    for flag in (["--known-hosts-file", str(other)], [f"--known-hosts-file={other}"]):
        done = hosts.ctl("ssh", *flag, lab.id["m2"], "hostname",
                         answers="" if other.exists() else "yes\n")
        assert done.stdout == "m2\n"
    assert hosts.stored() == [] and lab.ip["m2"] in other.read_text()


def test_a_key_that_cannot_be_stored_aborts(hosts, lab, tmp_path):
    (tmp_path / "folder").write_text("not a directory\n")
    done = hosts.ctl("ssh", lab.id["m2"], "hostname", answers="yes\n", status=1)
    assert done.stdout == "" and str(hosts.file) in done.stderr


def test_the_known_hosts_file_is_in_the_home_directory_by_default(lab, tmp_path):
    env = {**lab.env, "HOME": str(tmp_path)}
    del env["FLEETCTL_KNOWN_HOSTS_FILE"]
    done = subprocess.run([BIN / "fleetctl", "ssh", lab.id["m2"], "hostname"], env=env,
                          input="yes\n", capture_output=True, text=True, check=True,
                          start_new_session=True)
    assert done.stdout == "m2\n"
    assert lab.ip["m2"] in (tmp_path / ".fleetctl" / "known_hosts").read_text()
    assert (tmp_path / ".fleetctl").stat().st_mode & 0o777 == 0o700
