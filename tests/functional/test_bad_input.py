"""What is wrong is refused with a reason, and nothing is half done."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 5}

BAD_FILES = {
    "no-section.service": b"ExecStart=/bin/true\n",
    "open-header.service": b"[Service\nExecStart=/bin/true\n",
    "no-equals.service": b"[Service]\nExecStart\n",
    "binary.service": bytes(range(256)) * 16,
    "nul.service": b"[Service]\nExecStart=/bin/true\0\n",
    "latin1.service": "[Unit]\nDescription=größe\n".encode("latin-1"),
    "large.service": b"[Service]\nExecStart=/bin/true\n#" + b"x" * (10 << 20),
    "unknown-key.service": b"[X-Fleet]\nMachineMetdata=a=b\n",
    "bad-value.service": b"[X-Fleet]\nGlobal=perhaps\n",
    "bad-metadata.service": b"[X-Fleet]\nMachineMetadata=novalue\n",
    "host-specifier.service": b"[X-Fleet]\nMachineOf=%H.service\n",
    "global-of.service": b"[X-Fleet]\nGlobal=true\nMachineOf=a.service\n",
}


@pytest.mark.parametrize("verb", ["submit", "start"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_by_name(lab, name, verb):
    lab.file(name, BAD_FILES[name])
    lab.file("good.service")
    done = lab.ctl(verb, "good.service", name, status=1)
    assert name in done.stderr
    assert len(done.stderr) < 2000, "a message, not the file"
    assert lab.units() == {}, "nothing of the command is done"


def test_an_unknown_key_is_told_with_the_nearest_and_can_be_forced(lab):
    lab.file("typo.service", service(fleet=["MachineMetdata=a=b"]))
    assert 'did you mean "MachineMetadata"' in lab.ctl("submit", "typo", status=1).stderr
    done = lab.ctl("submit", "--force", "typo")
    assert "MachineMetdata" in done.stderr
    assert done.stdout == "Unit typo.service inactive\n"
    assert "launched" in lab.ctl("start", "--force", "typo").stdout


def test_a_directory_is_refused(lab):
    (lab.files / "folder.service").mkdir()
    done = lab.ctl("start", "folder.service", status=1)
    assert "folder.service" in done.stderr and "directory" in done.stderr
    assert lab.units() == {}


@pytest.mark.parametrize("name", ["a b.service", "x@y@.mount", "ü.service", "x.service/../y",
                                  "./none.service", "a" * 250 + ".service"])
def test_a_wrong_or_missing_name_is_refused(lab, name):
    done = lab.ctl("start", name, status=None)
    assert done.returncode in (1, 2, 4)
    assert name.split("/")[-1][:20] in done.stderr
    assert lab.units() == {}


def test_a_file_with_a_wrong_name_is_refused(lab):
    (lab.files / "a b.service").write_text(service())
    done = lab.ctl("start", "a b.service", status=None)
    assert done.returncode in (1, 2) and "a b.service" in done.stderr
    assert lab.units() == {}


@pytest.mark.parametrize("name", BAD_FILES)
def test_verify_refuses_the_same_files_without_a_cluster(lab, name):
    lab.file(name, BAD_FILES[name])
    done = lab.ctl("verify", name, status=1, env={"FLEETCTL_ENDPOINT": "http://127.0.0.1:1"})
    assert name in done.stderr


def test_a_unit_that_systemd_refuses_fails_with_its_reason(lab):
    lab.file("hollow.service", "[Service]\n# nothing to execute\n")
    done = lab.ctl("start", "hollow", status=1)
    assert "hollow.service" in done.stderr
    assert "bad unit file setting" in done.stderr
    lab.file("ghost.service", service("ExecStart=/does/not/exist"))
    assert "/does/not/exist" in lab.ctl("start", "ghost", status=1).stderr


@pytest.mark.etcd
def test_an_unreachable_etcd_is_told_and_nothing_is_done_later(lab):
    lab.start("before.service")
    lab.lab("etcd", "stop")
    try:
        lab.file("after.service")
        for arguments in (["start", "after"], ["submit", "after"], ["stop", "before"],
                          ["destroy", "before"]):
            said = lab.ctl(*arguments, status=1).stderr
            assert "etcd" in said and lab.env["ETCDCTL_ENDPOINTS"] in said, arguments
    finally:
        lab.lab("etcd", "start")
    lab.wait_members(*lab.machines)
    assert list(lab.units()) == ["before.service"]
    assert lab.unit("before.service")["desiredState"] == "launched"


def full(lab, machine, path):
    """Puts a full file system over `path`, with what is there and little room more, all of it taken by `filler`."""
    lab.shell(machine, f"size=$(($(du -sk {path} | cut -f1) + 600)); cp -a {path} /tmp/kept && "
                       f"mount -t tmpfs -o size=${{size}}k none {path} && "
                       f"cp -a /tmp/kept/. {path}/ && rm -r /tmp/kept")
    lab.shell(machine, f"head -c 1M /dev/zero > {path}/filler", status=1)


@pytest.mark.parametrize("path", ["/run/fleet", "/var/lib/fleet"])
def test_a_full_disk_is_told_and_the_unit_starts_when_there_is_room(new_lab, path):
    lab = new_lab(machines=2, ttl=3)
    pin = f"MachineID={lab.id['m1']}"
    lab.start("runs.service", service(fleet=[pin]))
    before = lab.show("m1", "runs.service")
    full(lab, "m1", path)
    text = service(fleet=[pin]) + "#" + 20000 * "x" + "\n"
    lab.file("late.service", text)
    done = lab.ctl("start", "--timeout=10s", "late", status=None)
    if path == "/run/fleet":
        assert done.returncode == 1, done
        assert "No space left on device" in done.stderr
        assert not lab.is_active("m1", "late.service")
        assert "late.service" not in lab.shell("m1", "ls /run/systemd/system")
    assert lab.show("m1", "runs.service") == before
    assert lab.start("other.service", service(fleet=[f"MachineID={lab.id['m2']}"])) == "m2"
    lab.shell("m1", f"rm {path}/filler")
    lab.ctl("start", "--timeout=60s", "late", status=None)
    assert lab.wait_where("late.service") == "m1"
    assert lab.show("m1", "runs.service") == before


def test_a_full_disk_of_a_single_machine_refuses_what_it_cannot_keep(new_lab):
    lab = new_lab(machines=1, etcd="none")
    lab.start("runs.service")
    pid = lab.show("m1", "runs.service", "MainPID")
    full(lab, "m1", "/var/lib/fleet")
    lab.shell("m1", "systemctl restart fleet")
    lab.file("late.service", service() + "#" + 20000 * "x" + "\n")
    wait_for(lambda: "full" in lab.ctl("submit", "late", status=1).stderr, "the cause is named")
    assert lab.show("m1", "runs.service", "MainPID") == pid
    lab.shell("m1", "rm /var/lib/fleet/filler")
    lab.wait_members("m1")
    assert list(lab.units()) == ["runs.service"]
    assert lab.start("later.service") == "m1"
    assert lab.show("m1", "runs.service", "MainPID") == pid
