"""fleetctl backup and restore: how the units of a single machine get into a cluster."""
import json
import re

import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 3}
TEXTS = {
    "crlf.service": b"# comment\r\n[Service]\r\nExecStart=/bin/sleep 1d\r\n; other\r\n",
    "open.service": "[Unit]\nDescription=☃\n\n[Service]\nExecStart=/bin/sleep \\\n 1d".encode(),
    "web@.service": service().encode(),
    "every.service": service(fleet=["Global=true"]).encode(),
    "beside.service": service(fleet=["MachineOf=crlf.service"]).encode(),
    "loaded.service": service().encode(),
    "known.service": service("Environment=KNOWN=1").encode(),
}
STATES = {"crlf.service": "launched", "open.service": "launched", "web@.service": "inactive",
          "web@1.service": "launched", "every.service": "launched", "beside.service": "launched",
          "loaded.service": "loaded", "known.service": "inactive"}


def populate(lab):
    for name, content in TEXTS.items():
        lab.file(name, content)
    lab.ctl("submit", "web@.service", "known")
    lab.ctl("load", "loaded")
    lab.ctl("start", "crlf", "open", "web@1", "every", "beside")


def states(lab):
    return {name: unit["desiredState"] for name, unit in lab.units().items()}


def saved(lab):
    """A backup of these units; the registry is empty again."""
    populate(lab)
    lab.ctl("backup", "saved.json")
    lab.ctl("destroy", "*")
    wait_for(lambda: not lab.list("list-units"), "the units to be gone")


def test_a_backup_holds_every_text_and_state(lab):
    populate(lab)
    assert "Saved 8 units" in lab.ctl("backup", "saved.json").stdout
    document = json.loads((lab.files / "saved.json").read_text())
    assert {unit["name"]: unit["desiredState"] for unit in document["units"]} == STATES
    for unit in document["units"]:
        expected = TEXTS[re.sub("@.*", "@.service", unit["name"])]
        assert unit["content"].encode() == expected, unit["name"]
    assert json.loads(lab.ctl("backup", "-").stdout)["units"] == document["units"]


def test_restore_brings_every_unit_back_as_it_was_and_says_so(lab):
    saved(lab)
    done = lab.ctl("restore", "saved.json")
    assert states(lab) == STATES
    for name in STATES:
        assert f"Unit {name} restored ({STATES[name]})" in done.stdout
        text = TEXTS[re.sub("@.*", "@.service", name)]
        assert lab.ctl("cat", name, binary=True).stdout == text
    assert "Summary: 8 units: 8 restored, 0 there already, 0 kept as they were, 0 failed" in \
        done.stdout
    for name in ("crlf.service", "open.service", "web@1.service"):
        assert lab.is_active(lab.where(name), name)
    assert lab.where("beside.service") == lab.where("crlf.service")
    assert list(lab.states("loaded.service").values()) == ["inactive"]
    wait_for(lambda: lab.active("every.service") == lab.machines, "the global unit")


def test_a_restore_again_does_nothing(lab):
    saved(lab)
    lab.ctl("restore", "saved.json")
    wait_for(lambda: lab.active("every.service") == lab.machines, "the global unit")
    before, keys = lab.runs(), lab.keys("/fleet/units/")
    for more in ([], ["--replace"]):
        done = lab.ctl("restore", *more, "saved.json")
        assert done.stdout.count("is there already, nothing to do") == 8
        assert "Summary: 8 units: 0 restored, 8 there already" in done.stdout
        assert lab.runs() == before and lab.keys("/fleet/units/") == keys


def test_restore_completes_what_a_part_of_it_has_begun(lab):
    saved(lab)
    lab.ctl("restore", "--no-block", "saved.json")
    lab.ctl("destroy", "open", "known")
    lab.ctl("stop", "crlf")
    done = lab.ctl("restore", "saved.json")
    assert "Summary: 8 units: 3 restored, 5 there already" in done.stdout
    assert states(lab) == STATES


def test_what_differs_is_kept_unless_it_is_to_be_replaced(lab):
    saved(lab)
    lab.start("known.service", service("Environment=KNOWN=2"))
    done = lab.ctl("restore", "saved.json")
    assert "WARNING: Unit known.service in registry differs from" in done.stderr
    assert "7 restored, 0 there already, 1 kept" in done.stdout
    assert "KNOWN=2" in lab.ctl("cat", "known").stdout
    assert states(lab)["known.service"] == "launched"
    lab.ctl("restore", "--replace", "saved.json")
    assert "KNOWN=1" in lab.ctl("cat", "known").stdout
    assert states(lab) == STATES


def test_dry_run_only_says_what_would_be_done(lab):
    saved(lab)
    done = lab.ctl("restore", "--dry-run", "saved.json")
    assert "Unit crlf.service would be restored (launched)" in done.stdout
    assert lab.units() == {}


@pytest.mark.parametrize("spoil", [
    lambda text: text[:len(text) // 2],
    lambda text: text.replace('"version": 1', '"version": 999'),
    lambda text: text.replace('"desiredState": "launched"', '"desiredState": "lunched"', 1),
    lambda text: text.replace('"desiredState"', '"desiredSate"', 1),
    lambda text: "[Service]\nExecStart=/bin/true\n",
], ids=["cut short", "of a newer version", "an unknown state", "a misspelled member", "foreign"])
def test_a_file_that_is_wrong_changes_nothing(lab, spoil):
    saved(lab)
    path = lab.files / "saved.json"
    path.write_text(spoil(path.read_text()))
    assert "saved.json" in lab.ctl("restore", "saved.json", status=1).stderr
    assert lab.units() == {}


@pytest.mark.machines(2)
def test_a_single_machine_becomes_a_cluster_with_all_of_its_units(lab):
    """fleet.conf of m1 gets etcd_servers only after a life of its own."""
    lab.shell("m1", "cp /etc/fleet/fleet.conf /root/cluster.conf && systemctl stop fleet && "
                    "sed -i /^etcd_servers/d /etc/fleet/fleet.conf && systemctl start fleet")
    try:
        lab.wait_members("m1", at="m1")
        for name, content in TEXTS.items():
            lab.file(name, content)
        lab.ctl("submit", "web@.service", "known", at="m1")
        lab.ctl("load", "loaded", at="m1")
        lab.ctl("start", "crlf", "open", "web@1", "every", "beside", at="m1")
        patch = [{"op": "add", "path": f"/{lab.id['m1']}/metadata/disk", "value": "ssd"}]
        lab.run("m1", "curl", "-sf", "-X", "PATCH", "--unix-socket", "/run/fleet.sock", "-H",
                "Content-Type: application/json", "-d", json.dumps(patch),
                "http://fleet/fleet/v1/machines")
        lab.ctl("backup", "single.json", at="m1")
        assert lab.units(at="m2") == {}
    finally:
        lab.shell("m1", "cp /root/cluster.conf /etc/fleet/fleet.conf && systemctl restart fleet")
    lab.wait_members("m1", "m2")
    done = lab.ctl("restore", "single.json")
    assert f"Metadata of machine {lab.id['m1']} restored (disk=ssd)" in done.stdout
    assert states(lab) == STATES
    assert {machine["metadata"].get("disk") for machine in lab.list("list-machines")} == {
        "ssd", None}
    wait_for(lambda: lab.active("every.service") == ["m1", "m2"], "the global unit on both")
    running = ("crlf.service", "open.service", "web@1.service", "beside.service")
    wait_for(lambda: all(lab.where(name) for name in running), lambda: lab.list("list-units"))
    for name in running:
        assert [machine for machine in lab.machines if lab.is_active(machine, name)] == [
            lab.where(name)], "it runs once"
