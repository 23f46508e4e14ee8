"""fleetctl backup and restore: a single machine's units are carried into a cluster, and back."""
import json
import os
import signal
import stat
import subprocess

import pytest
from cluster import BIN, service, wait_for
from http_client import api_of

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)

CRLF = b"# mine\r\n[Service]\r\nExecStart=/bin/sleep \\\r\n  infinity\r\n\r\n"
UNITS = {  # name: (text, the state that is wanted)
    "crlf.service": (CRLF, "launched"),
    "mark.service": (b"\xef\xbb\xbf[Unit]\n" + "Description=gr\u00f6\u00dfe \U0001f680 \"\t\x7f\n"
                     "[Service]\nExecStart=/bin/sleep infinity".encode(), "launched"),
    "door.socket": (b"[Socket]\nListenStream=/run/door\n[X-Fleet]\nMachineOf=door.service\n",
                    "launched"),
    "door.service": (service().encode(), "loaded"),
    "soon.timer": (b"[Timer]\nOnBootSec=1w\n[X-Fleet]\nMachineOf=%p.service\n", "launched"),
    "soon.service": (service("Type=oneshot", "ExecStart=/bin/true").encode(), "loaded"),
    "group.target": (b"[Unit]\nDescription=all of them\n", "launched"),
    "disk.mount": (b"[Mount]\nWhat=tmpfs\nWhere=/disk\nType=tmpfs\n", "loaded"),
    "kept.service": (service().encode(), "inactive"),
    "everywhere.service": (service(fleet=["Global=true"]).encode(), "launched"),
    # Sorts before what it follows.
    "a-follower.service": (service(fleet=["MachineOf=crlf.service"]).encode(), "launched"),
    "web@.service": (service("Environment=I=%i").encode(), "inactive"),
    "web@1.service": (None, "launched"),
    "web@2.service": (None, "loaded"),
    "forced.service": (service(fleet=["MachineMetdata=a=b"]).encode(), "launched"),
}
VERB = {"inactive": "submit", "loaded": "load", "launched": "start"}
AWAY = "0123456789abcdef0123456789abcdef"


def texts(lab):
    return {name: lab.ctl("cat", name, binary=True).stdout for name in lab.units()}


def states(lab):
    return {name: unit["desiredState"] for name, unit in lab.units().items()}


def patch(lab, *operations):
    assert api_of(lab).patch(*operations).status == 204


def metadata(lab, machine="m1"):
    return {entry["id"]: entry["metadata"]
            for entry in lab.list("list-machines")}[lab.id[machine]]


def fill(lab):
    """Units of all kinds in all states, and settings of machines, present and away."""
    for name, (text, _) in UNITS.items():
        if text is not None:
            lab.file(name, text)
    for state, verb in VERB.items():
        lab.ctl(verb, "--force", *(name for name in UNITS if UNITS[name][1] == state))
    patch(lab, {"op": "add", "path": f"/{lab.id['m1']}/metadata/zone", "value": "z/1 ~"},
          {"op": "remove", "path": f"/{lab.id['m1']}/metadata/disk"},
          {"op": "add", "path": f"/{AWAY}/metadata/rack", "value": "r7"})


def test_a_single_machines_units_move_into_a_cluster(lab, new_lab):
    single = new_lab(machines=1, etcd="none", metadata=["m1:disk=ssd"])
    fill(single)
    assert metadata(single) == {"zone": "z/1 ~"}
    single.ctl("backup", "fleet.json")
    path = single.files / "fleet.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    written = {unit["name"]: unit["content"].encode()
               for unit in json.loads(path.read_text())["units"]}
    assert written == texts(single), "the file has the texts as they are"
    assert written["crlf.service"] == CRLF

    before = (texts(single), states(single))
    done = lab.ctl("restore", str(path))
    assert (texts(lab), states(lab)) == before
    assert {name: UNITS[name][1] for name in UNITS} == before[1]
    for name, (_, state) in UNITS.items():
        assert f"Unit {name} restored ({state})\n" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"Summary: {len(UNITS)} units: {len(UNITS)} "
                                                   "restored, 0 there already")
    assert "MachineMetdata" in done.stderr, "it had to be forced in, and is told of"
    for name, (_, state) in UNITS.items():
        if state == "launched" and name != "everywhere.service":
            assert lab.where(name), name
    assert lab.where("a-follower.service") == lab.where("crlf.service")
    wait_for(lambda: lab.active("everywhere.service") == ["m1", "m2"], "it runs everywhere")
    settings = json.loads(lab.ctl("backup", "-").stdout)["machines"]
    saved = json.loads(path.read_text())["machines"]
    assert [entry["id"] for entry in saved] == sorted([AWAY, single.id["m1"]])
    assert all(entry in settings for entry in saved)

    runs = lab.runs()
    again = lab.ctl("restore", str(path))
    for name in UNITS:
        assert f"Unit {name} is there already, nothing to do\n" in again.stdout
    assert " 0 restored, " in again.stdout and again.stderr == ""
    assert lab.runs() == runs, "nothing is started anew"


def test_what_the_cluster_has_otherwise_is_kept_with_a_warning_until_it_is_replaced(lab):
    lab.start("text.service", service("Environment=V=1"))
    lab.file("state.service")
    lab.ctl("load", "state")
    lab.file("low.service")
    lab.ctl("start", "low")
    machine = lab.id["m2"]
    patch(lab, {"op": "add", "path": f"/{machine}/metadata/zone", "value": "a"})
    lab.ctl("backup", "fleet.json")
    lab.file("text.service", service("Environment=V=2"))
    lab.ctl("start", "--replace", "text.service")
    lab.ctl("start", "state")
    lab.ctl("unload", "low")
    lab.start("mine.service")
    patch(lab, {"op": "add", "path": f"/{machine}/metadata/zone", "value": "b"})
    run = lab.show(lab.where("text.service"), "text.service")

    done = lab.ctl("restore", "fleet.json")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING: ")]
    assert all(line.endswith(". Add --replace to override.") for line in warnings)
    for said in ("Unit text.service in registry differs from fleet.json",
                 "Unit state.service in registry is launched, in fleet.json loaded",
                 f"Metadata zone of machine {machine} in registry is b, in fleet.json a"):
        assert any(said in line for line in warnings), (said, warnings)
    assert len(warnings) == 3
    assert "Unit low.service restored (launched, was inactive)\n" in done.stdout
    assert "V=2" in lab.ctl("cat", "text").stdout
    assert lab.show(lab.where("text.service"), "text.service") == run
    assert states(lab)["state.service"] == "launched" and metadata(lab, "m2") == {"zone": "b"}

    done = lab.ctl("restore", "--replace", "fleet.json")
    assert "Unit text.service restored (launched, text replaced)\n" in done.stdout
    assert "Unit state.service restored (loaded, was launched)\n" in done.stdout
    assert "V=1" in lab.ctl("cat", "text").stdout
    place = lab.where("text.service")
    assert "V=1" in lab.show(place, "text.service", "Environment")["Environment"]
    assert states(lab)["state.service"] == "loaded" and metadata(lab, "m2") == {"zone": "a"}
    assert lab.where("mine.service"), "what the file does not have is left alone"


def test_a_restore_that_was_killed_goes_on_when_it_is_repeated(lab):
    units = [{"name": f"n{number}.service", "desiredState": "inactive",
              "content": f"# {number}\n{service()}"} for number in range(600)]
    path = lab.files / "many.json"
    path.write_text(json.dumps({"format": "fleet backup", "version": 1, "units": units,
                                "machines": []}))
    with subprocess.Popen([str(BIN / "fleetctl"), "restore", str(path)], env=lab.env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as restore:
        assert restore.stdout.readline() == "Unit n0.service restored (inactive)\n"
        restore.send_signal(signal.SIGKILL)
    assert restore.returncode == -signal.SIGKILL
    last = lab.ctl("restore", str(path)).stdout
    there = last.count(" is there already, nothing to do\n")
    assert there >= 200 and there + last.count(" restored (inactive)\n") == 600
    stored = json.loads(lab.ctl("backup", "-").stdout)["units"]
    assert stored == sorted(units, key=lambda unit: unit["name"])


def test_a_unit_that_cannot_be_restored_does_not_keep_the_others(lab):
    units = [{"name": name, "desiredState": "launched", "content": service(fleet=fleet)}
             for name, fleet in (("bad.service", ["Global=perhaps"]), ("good.service", []),
                                 ("nowhere.service", ["MachineMetadata=no=where"]))]
    path = lab.files / "bad.json"
    path.write_text(json.dumps({"format": "fleet backup", "version": 1, "units": units,
                                "machines": []}))
    done = lab.ctl("restore", str(path), status=1)
    assert "cannot restore unit bad.service" in done.stderr and "perhaps" in done.stderr
    assert "unit nowhere.service cannot be launched" in done.stderr
    assert lab.where("good.service")
    assert "2 restored, 0 there already, 0 kept as they were, 1 failed" in done.stdout


@pytest.mark.parametrize("damage, said", [
    (lambda text: text[:len(text) // 2], "is cut short"),
    (lambda text: "[Service]\nExecStart=/bin/true\n", "not made by"),
    (lambda text: '{"units": []}', "not a backup"),
    (lambda text: text.replace('"version": 1', '"version": 2'), "newer"),
    (lambda text: text.replace("ExecStart", "[", 1), "line "),
], ids=["truncated", "unit-file", "foreign", "newer", "bad-unit"])
def test_a_file_that_is_not_a_backup_changes_nothing(lab, damage, said):
    lab.file("good.service")
    lab.ctl("submit", "good")
    rack = {"op": "add", "path": f"/{'f' * 32}/metadata/rack"}
    patch(lab, {**rack, "value": "r1"})
    lab.ctl("backup", "fleet.json")
    lab.ctl("destroy", "good")
    patch(lab, {**rack, "value": "r2"})
    path = lab.files / "fleet.json"
    path.write_text(damage(path.read_text()))
    done = lab.ctl("restore", "--replace", "fleet.json", status=1)
    assert said in done.stderr and "fleet.json" in done.stderr and done.stdout == ""
    assert lab.units() == {}
    assert '"rack": "r2"' in lab.ctl("backup", "-").stdout


def test_a_backup_that_cannot_be_written_leaves_the_old_one(lab, tmp_path):
    lab.file("a.service", service() + "# " + "x" * 100_000 + "\n")
    lab.ctl("submit", "a")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        (disk / "fleet.json").write_text("old")
        done = lab.ctl("backup", str(disk / "fleet.json"), status=1)
        assert "cannot write" in done.stderr and "No space left" in done.stderr
        assert (disk / "fleet.json").read_text() == "old"
        assert os.listdir(disk) == ["fleet.json"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    done = lab.ctl("backup", "/dev/full", status=1)
    assert "No space left" in done.stderr
    with open("/dev/full", "wb") as full:
        done = subprocess.run([str(BIN / "fleetctl"), "backup", "-"], env=lab.env, stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "cannot write to stdout" in done.stderr


def test_backup_and_restore_work_through_a_pipe(lab):
    lab.start("piped.service", CRLF)
    text = lab.ctl("backup", "-", binary=True).stdout
    lab.ctl("destroy", "piped")
    done = lab.ctl("restore", "--no-block", "-", binary=True, input=text)
    assert b"Unit piped.service restored (launched)\n" in done.stdout
    assert lab.ctl("cat", "piped", binary=True).stdout == CRLF
    lab.wait_where("piped.service")


def test_a_dry_run_only_says_what_would_be_done(lab):
    lab.start("dry.service")
    patch(lab, {"op": "add", "path": f"/{lab.id['m1']}/metadata/rack", "value": "r1"})
    lab.ctl("backup", "fleet.json")
    lab.ctl("destroy", "dry")
    patch(lab, {"op": "add", "path": f"/{lab.id['m1']}/metadata/rack", "value": "r2"})
    done = lab.ctl("restore", "--dry-run", "--replace", "fleet.json")
    assert "Unit dry.service would be restored (launched)\n" in done.stdout
    assert f"Metadata of machine {lab.id['m1']} would be restored (rack=r1" in done.stdout
    assert lab.units() == {} and metadata(lab)["rack"] == "r2"
