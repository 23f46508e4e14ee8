"""fleetctl explain: why a unit is where it is, or nowhere, and what would help."""
import json

import pytest
from cluster import service
from http_client import api_of
from planning import ZONES, explain, on

LAB = ZONES
pytestmark = pytest.mark.machines(3)


def label(lab, machine):
    return f"{lab.id[machine][:8]}.../{lab.ip[machine]}"


def test_a_unit_that_waits(lab):
    lab.start("mysql.service", on(lab, "m1"))
    lab.start("big.service", on(lab, "m2", "ReserveMemory=3G"))
    lab.file("shy.service", service(fleet=[
        "Conflicts=mysql.service", "ReserveMemory=2G", "MachineMetadata=zone=a",
        "MachineMetadata=zone=b", "MachineMetadata=disk=ssd"]))
    said = lab.ctl("start", "shy", status=6).stderr
    refusal = said.splitlines()[0].split(" cannot be launched: ")[1]
    told = explain(lab, "shy")
    assert told["state"] == "waiting" and told["machines"] == [] and told["total"] == 3
    assert told["reason"] == refusal, "what the start said"
    ruled_out = {entry["constraint"]: entry for entry in told["ruledOut"]}
    assert ruled_out["MachineMetadata disk=ssd"] == {
        "constraint": "MachineMetadata disk=ssd", "machines": 3, "inAll": 3, "alone": 1}
    assert ruled_out["Conflicts with mysql.service"]["inAll"] == 1
    assert ruled_out["ReserveMemory=2G"]["inAll"] == 1
    assert told["conflicts"] == ["mysql.service"]
    assert any("disk=ssd" in note for note in told["notes"])
    assert [(remedy["kind"], remedy["machines"]) for remedy in told["remedies"]] == [
        ("metadata", 1)]
    assert [f"  {remedy['change']}" for remedy in told["remedies"]] == said.splitlines()[1:]
    verdicts = told["verdicts"]
    assert set(verdicts) == {"m1", "m2", "m3"}
    assert not any(verdict["eligible"] for verdict in verdicts.values())
    assert verdicts["m3"]["ruledOutBy"] == ["MachineMetadata disk=ssd"]
    assert "ReserveMemory=2G" in verdicts["m2"]["ruledOutBy"]

    text = lab.ctl("explain", "shy").stdout.splitlines()
    assert text[0] == f"shy.service: not placed: {refusal}"
    assert any(line.split("\t")[0].strip() == "MachineMetadata disk=ssd" for line in text)
    assert "  conflicts with mysql.service" in text
    lines = lab.ctl("explain", "-l", "shy").stdout
    assert all(lab.id[machine] in lines for machine in lab.machines)
    listed = lab.ctl("list-unit-files", "--no-legend", "-l", "--fields=unit,reason", "shy").stdout
    assert listed.split("\t")[1].strip() == refusal


def test_a_unit_that_runs(lab):
    lab.start("other.service", on(lab, "m1"))
    machine = lab.start("here.service", service(fleet=["MachineMetadata=zone=b"]))
    told = explain(lab, "here")
    assert told["state"] == "placed" and told["machines"] == [machine] and told["reason"]
    assert told["verdicts"][machine]["score"]["runsThere"]
    assert {name for name, verdict in told["verdicts"].items() if verdict["eligible"]} == {
        "m2", "m3"}
    text = lab.ctl("explain", "here").stdout
    assert text.startswith(f"here.service: placed on {label(lab, machine)}: ")


def test_units_that_are_not_wanted_and_global_ones(lab):
    lab.file("idle.service")
    lab.file("web@.service")
    lab.file("all.service", service(fleet=["Global=true", "MachineMetadata=zone=b"]))
    lab.ctl("submit", "idle", "web@")
    lab.ctl("start", "all")
    lab.ctl("load", "idle")
    lab.ctl("unload", "idle")
    for name in ("idle", "web@"):
        assert explain(lab, name)["state"] == "notWanted"
        assert lab.ctl("explain", name).stdout.startswith(f"{name}.service: not placed: ")
    told = explain(lab, "all")
    assert told["state"] == "global" and sorted(told["machines"]) == ["m2", "m3"]
    assert told["verdicts"]["m1"]["ruledOutBy"] == ["MachineMetadata zone=b"]
    assert len(json.loads(lab.ctl("explain", "-o", "json", "*").stdout)) == 3


def test_units_that_share_a_machine_are_explained_together(lab):
    lab.file("app.service", service(fleet=["ReserveMemory=3G"]))
    lab.file("side.service", service(fleet=["ReserveMemory=3G", "MachineOf=app.service"]))
    lab.ctl("start", "app", "side", status=6)
    told = explain(lab, "side")
    assert told["state"] == "waiting" and "ReserveMemory" in json.dumps(told["ruledOut"])
    assert told["remedies"], "one of them may reserve less"


def test_unknown_units_and_an_api_that_says_so(lab):
    lab.start("a.service")
    done = lab.ctl("explain", "none", "a", status=4)
    assert "none.service not found" in done.stderr
    assert done.stdout.startswith("a.service: placed on ")
    api = api_of(lab)
    assert api.ask("GET", "units/none.service/explain").status == 404
    assert "verdicts" not in api.get("units/a.service/explain")
    assert len(api.get("units/a.service/explain?machines=true")["verdicts"]) == 3


def test_the_driver_explains_from_the_registry(lab):
    machine = lab.start("a.service")
    env = {"FLEETCTL_DRIVER": "etcd", "FLEETCTL_ENDPOINT": lab.env["ETCDCTL_ENDPOINTS"]}
    told = explain(lab, "a", env=env)
    assert told["state"] == "placed" and told["machines"] == [machine]
