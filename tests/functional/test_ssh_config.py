"""fleetctl in a machine, for a user with an OpenSSH configuration of their own."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 5}
pytestmark = pytest.mark.machines(3)


class User:
    """core on m1, with a key in ~/.ssh that the other machines accept, and no agent."""

    def __init__(self, lab):
        self.lab = lab
        key = self.sh("mkdir -m 700 .ssh && ssh-keygen -q -t ed25519 -N '' -f .ssh/own_key && "
                      "cat .ssh/own_key.pub").strip()
        for machine in ("m2", "m3"):
            lab.shell(machine, f"mkdir -p ~core/.ssh && echo '{key}' > ~core/.ssh/authorized_keys")

    def sh(self, script, status=0, stdin=""):
        """Runs a script as the user, in their home directory."""
        return self.lab.run("m1", "runuser", "--login", "core", "--command", script, input=stdin,
                            status=status)

    def configure(self, text):
        self.sh("cat > .ssh/config", stdin=f"IdentityFile ~/.ssh/own_key\n{text}\n")

    def knows(self, *machines):
        """These machines' keys are in ~/.ssh/known_hosts."""
        keys = [f"{self.lab.ip[machine]} "
                + self.lab.run(machine, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
                for machine in machines]
        self.sh("cat > .ssh/known_hosts", stdin="".join(keys))

    def leave(self):
        self.sh("rm -rf .ssh .fleetctl")


@pytest.fixture
def user(lab):
    someone = User(lab)
    yield someone
    someone.leave()


def test_the_users_keys_and_known_hosts_are_used(user, lab):
    user.configure("")
    user.knows("m2")
    lab.start("there.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    assert user.sh("fleetctl ssh there 'hostname; exit 4' 2>&1", status=4) == "m2\n"
    assert "active (running)" in user.sh("fleetctl status there")
    assert "there.service" in user.sh("fleetctl journal there")
    user.sh("test -e .fleetctl", status=1)


def test_a_key_the_user_does_not_know_is_kept_in_their_home(user, lab):
    user.configure("")
    command = f"fleetctl ssh {lab.id['m2']} hostname"
    assert user.sh(command, stdin="no\n", status=1) == ""
    assert user.sh(command, stdin="yes\n") == "m2\n"
    assert user.sh("cut -d' ' -f1 .fleetctl/known_hosts") == lab.ip["m2"] + "\n"
    user.sh("test -e .ssh/known_hosts", status=1)
    assert user.sh(f"{command} 2>&1") == "m2\n"


def test_without_a_key_the_error_is_clear(user, lab):
    user.knows("m2")
    said = user.sh(f"fleetctl ssh {lab.id['m2']} hostname 2>&1", status=255)
    assert "Permission denied" in said and "ssh-add" in said and "--ssh-username" in said


def test_a_jump_host_of_the_configuration_is_used(user, lab):
    user.configure(f"Host {lab.ip['m2']}\n  ProxyJump core@{lab.ip['m3']}")
    user.knows("m2", "m3")
    came_from = user.sh(f"fleetctl ssh {lab.id['m2']} 'echo $SSH_CONNECTION'").split()[0]
    assert came_from == lab.ip["m3"]


def test_an_alias_of_the_configuration_can_be_the_tunnel(user, lab):
    user.configure(f"Host gate\n  HostName {lab.ip['m3']}\n  HostKeyAlias the-gate")
    listed = user.sh("fleetctl --tunnel gate list-machines -o name", stdin="yes\n").split()
    assert sorted(listed) == sorted(lab.id.values())
    assert user.sh("cut -d' ' -f1 .fleetctl/known_hosts") == "the-gate\n"


def test_a_control_socket_carries_the_next_commands(user, lab):
    user.configure("ControlMaster auto\nControlPath ~/.ssh/%C.sock\nControlPersist 60")
    user.knows("m2")
    command = f"fleetctl ssh {lab.id['m2']} 'echo $SSH_CONNECTION'"
    try:
        first = user.sh(f"{command} 2>/dev/null </dev/null")
        assert first.startswith(lab.ip["m1"])
        assert user.sh(command) == first  # from the same port
        assert len(user.sh("ls .ssh/*.sock").split()) == 1
    finally:
        lab.run("m1", "pkill", "-u", "core", "-f", "ssh: .*mux", status=None)
        wait_for(lambda: not lab.shell("m1", "ls ~core/.ssh/*.sock 2>/dev/null", status=None),
                 "the master to end")


def test_what_is_on_this_machine_needs_no_ssh(user, lab):
    """Without a key and a known host, and with an ssh that only leaves a mark."""
    user.sh("mkdir bin && cat > bin/ssh && chmod +x bin/ssh",
            stdin="#!/bin/sh\ntouch ~/bin/called\nexit 99\n")
    try:
        for name, machine in (("near", "m1"), ("far", "m2")):
            lab.start(f"{name}.service", service(
                "ExecStartPre=/bin/true", f"ExecStart=/bin/sh -c 'echo {name}; exec sleep 1d'",
                fleet=[f"MachineID={lab.id[machine]}"]))
        wait_for(lambda: "near" in lab.run("m1", "journalctl", "-u", "near", "-o", "cat"),
                 "the unit's line")

        def ctl(arguments, status=0):
            return user.sh(f"PATH=$PWD/bin:$PATH fleetctl {arguments} 2>&1", status=status)
        assert ctl("ssh near hostname") == "m1\n"
        assert ctl("ssh --unit near 'exit 3'", status=3) == ""
        assert ctl(f"ssh {lab.id['m1'][:12]} 'kill -TERM $$'", status=143) == ""
        assert user.sh("fleetctl ssh near", stdin="hostname; exit 8\n", status=8) == "m1\n"
        assert "active (running)" in ctl("status near")
        assert ctl("journal --output=cat --lines=100 near").splitlines().count("near") == 1
        assert "near" in ctl("journal --sudo near")
        user.sh("test -e bin/called", status=1)
        for arguments in ("ssh far hostname", "status far", "journal far"):
            ctl(arguments, status=None)
            user.sh("rm bin/called")
    finally:
        user.sh("rm -r bin")


def test_journal_uses_sudo_when_asked_to(user, lab):
    """For who may not read the journal, but may become root."""
    lab.start("secret.service", service("ExecStart=/bin/sh -c 'echo the secret; exec sleep 1d'",
                                        fleet=[f"MachineID={lab.id['m2']}"]))
    wait_for(lambda: "the secret" in lab.run("m2", "journalctl", "-u", "secret"), "the line")
    lab.shell("m2", "useradd --create-home --shell /bin/bash --password '*' guest && "
                    "echo 'guest ALL=(ALL) NOPASSWD: /usr/bin/journalctl' > /etc/sudoers.d/guest")
    try:
        command = ["--ssh-username=guest", "journal", "secret"]
        assert "the secret" not in lab.ctl(*command, status=None).stdout
        assert "the secret" in lab.ctl(*command, "--sudo").stdout
    finally:
        lab.shell("m2", "userdel --force --remove guest; rm /etc/sudoers.d/guest", status=None)
