"""What is peculiar to the embedded registry of a single machine: its file."""
import threading

import pytest
from cluster import service, wait_for

LAB = {"machines": 1, "etcd": "none"}
REGISTRY = "/var/lib/fleet/registry.db"


def test_the_registry_is_a_file_for_root_alone_and_named_in_the_journal(lab):
    wait_for(lambda: f"embedded, in {REGISTRY}" in lab.journal("m1", 1000), "the journal's line")
    assert lab.run("m1", "stat", "-c", "%U %a", REGISTRY) == "root 600\n"


def test_one_machine_keeps_all_of_its_units_over_a_power_loss(lab):
    lab.start("plain.service", service(install=["WantedBy=multi-user.target"]))
    lab.file("inst@.service", service(fleet=["Conflicts=%p@*.service"]))
    lab.ctl("submit", "inst@.service")
    lab.ctl("start", "inst@1")
    assert "inst@1.service" in lab.ctl("start", "inst@2", status=6).stderr
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.ctl("start", "every")
    lab.file("loaded.service")
    lab.ctl("load", "loaded")
    wait_for(lambda: lab.active("every.service"), "the global unit")
    units = lab.units()

    lab.lab("crash", "m1")
    lab.lab("boot", "m1")
    lab.wait_members("m1")
    for name in ("plain.service", "inst@1.service", "every.service"):
        assert lab.wait_where(name) == "m1"
        assert lab.is_active("m1", name)
    assert not lab.is_active("m1", "loaded.service") and "loaded.service" in lab.local_units("m1")
    assert {name: unit["desiredState"] for name, unit in lab.units().items()} == {
        name: unit["desiredState"] for name, unit in units.items()}

    lab.ctl("destroy", "inst@1")
    assert lab.wait_where("inst@2.service") == "m1"


def test_what_was_acknowledged_is_there_after_a_power_loss(lab):
    names = [lab.file(f"w{i}.service") for i in range(1000)]
    said = []

    def submit():
        for name in names:
            done = lab.ctl("submit", name, status=None)
            if done.returncode != 0:
                return
            said.append(name)
    writer = threading.Thread(target=submit)
    writer.start()
    wait_for(lambda: len(said) > 20, "some units to be stored")
    lab.lab("crash", "m1")
    writer.join()
    assert len(said) < len(names), "the power was lost too late"
    lab.lab("boot", "m1")
    lab.wait_members("m1")
    stored = lab.ctl("list-unit-files", "-o", "name").stdout.split()
    assert set(said) <= set(stored) and len(stored) <= len(said) + 1


@pytest.fixture(name="damaged")
def damaged_registry(lab):
    """Restarts fleet on a registry that a script has damaged in between. Returns a function that
    gives the journal since then. The registry is put back."""
    drop_in = "/run/systemd/system/fleet.service.d"
    script = "/root/damage"

    def damage(how):
        cursor = lab.run("m1", "journalctl", "-n0", "--show-cursor").split("cursor: ")[1].strip()
        lab.shell("m1", f"""
            mkdir -p {drop_in} && printf '[Service]\nExecStartPre={script}\n' > {drop_in}/test.conf
            cat > {script} <<'END'
#!/bin/sh -e
test ! -e /root/sum || exit 0
cp -a /var/lib/fleet /root/kept
file={REGISTRY}
ls -l /var/lib/fleet > /root/listed
rm -f $file-wal # its pages would stand in for those of the file
{how}
sha256sum $file > /root/sum
END
            chmod +x {script}; systemctl daemon-reload; systemctl restart --no-block fleet""")
        return lambda: lab.run("m1", "journalctl", "-u", "fleet", f"--after-cursor={cursor}")

    yield damage
    # While fleetd is down: it makes a new registry where it finds none.
    lab.shell("m1", f"""
        cat > {script} <<'END'
#!/bin/sh -e
test -e /root/kept || exit 0
rm -rf /var/lib/fleet/*
cp -a /root/kept/. /var/lib/fleet
rm -r /root/kept
END
        systemctl restart fleet
        rm -r {drop_in} /root/sum /root/listed {script}; systemctl daemon-reload""")
    lab.wait_members("m1")


@pytest.mark.parametrize("how", [
    "head -c 100 /dev/urandom | dd of=$file conv=notrunc",
    "truncate -s 10K $file",
    "head -c 64K /dev/urandom | dd of=$file bs=4K seek=1 conv=notrunc iflag=fullblock",
    "head -c 20K /dev/urandom > $file",
], ids=["no header", "cut off", "other content", "another file"])
def test_a_damaged_registry_is_told_and_not_written_to(lab, damaged, how):
    lab.start("runs.service")
    names = [lab.file(f"more{i}.service", service("#" + 3000 * "x" + str(i))) for i in range(30)]
    lab.ctl("submit", *names)
    before = lab.show("m1", "runs.service")
    journal = damaged(how)
    said = ("the registry " + REGISTRY, "restore it from a backup", "move it away")
    wait_for(lambda: all(words in journal() for words in said),
             lambda: f"the damage to be told:\n{lab.run('m1', 'cat', '/root/listed')}{journal()}")
    lab.run("m1", "sha256sum", "--check", "/root/sum")
    assert lab.show("m1", "runs.service") == before, "what runs does not depend on it"


def test_a_registry_that_is_put_back_is_used_without_a_word_to_systemd(lab, damaged):
    lab.start("runs.service")
    before = lab.show("m1", "runs.service")
    journal = damaged("echo nonsense > $file")
    wait_for(lambda: "restore it from a backup" in journal(), "the damage to be told")
    # At once: fleetd makes a new registry where it finds none.
    lab.shell("m1", f"""
        cp -a /root/kept/registry.db {REGISTRY}.kept; rm -f {REGISTRY}-wal
        mv {REGISTRY}.kept {REGISTRY}; rm -r /root/kept""")
    lab.wait_members("m1")
    assert lab.where("runs.service") == "m1" and lab.show("m1", "runs.service") == before
    assert lab.start("later.service") == "m1"


def test_without_its_file_a_machine_begins_anew_under_its_own_id(lab):
    lab.file("old.service")
    lab.ctl("submit", "old")
    lab.run("m1", "systemctl", "stop", "fleet")
    lab.shell("m1", f"rm {REGISTRY}*")
    lab.run("m1", "systemctl", "start", "fleet")
    lab.wait_members("m1")
    assert lab.units() == {}
    assert lab.start("new.service") == "m1"


def test_a_second_fleetd_does_not_touch_the_registry(lab):
    lab.start("runs.service")
    said = lab.shell("m1", "fleetd --config /etc/fleet/fleet.conf 2>&1", status=1)
    assert REGISTRY in said and "another process has it open" in said
    assert lab.where("runs.service") == "m1"
    lab.start("later.service")
