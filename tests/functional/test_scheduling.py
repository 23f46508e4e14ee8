"""Where units are placed, with each [X-Fleet] key of fleet 1.0."""
import collections

import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 5, "metadata": [
    "m1:zone=a,disk=ssd", "m2:zone=b,disk=ssd", "m3:zone=b,disk=hdd"]}


def refused(lab, name, *lines):
    """Starts a unit that no machine may run; returns what fleetctl said."""
    lab.file(name, service(fleet=lines))
    return lab.ctl("start", name, status=6).stderr


@pytest.mark.machines(3)
def test_units_are_spread_evenly(lab):
    names = [lab.file(f"even{i}.service") for i in range(9)]
    lab.ctl("start", *names)
    assert collections.Counter(map(lab.where, names)) == {"m1": 3, "m2": 3, "m3": 3}


@pytest.mark.machines(3)
def test_a_unit_goes_to_the_least_loaded_machine(lab):
    for i, machine in enumerate(["m1", "m1", "m3"]):
        lab.start(f"load{i}.service", service(fleet=[f"MachineID={lab.id[machine]}"]))
    assert lab.start("light.service") == "m2"


def test_machine_id(lab):
    for machine in lab.machines:
        unit = service(fleet=[f"MachineID={lab.id[machine]}"])
        assert lab.start(f"on-{machine}.service", unit) == machine
    assert "MachineID" in refused(lab, "nobody.service", "MachineID=" + 32 * "0")
    prefix = lab.id["m1"][:8]
    assert "MachineID" in refused(lab, "prefix.service", f"MachineID={prefix}")


@pytest.mark.machines(3)
@pytest.mark.parametrize("lines, allowed", [
    (["MachineMetadata=zone=a"], {"m1"}),
    (["MachineMetadata=zone=b"], {"m2", "m3"}),
    (["MachineMetadata=zone=b", "MachineMetadata=disk=ssd"], {"m2"}),
    (['MachineMetadata="zone=b" "disk=hdd"'], {"m3"}),
    (["MachineMetadata=zone=a", "MachineMetadata=zone=b"], {"m1", "m2", "m3"}),
    (["MachineMetadata=zone=a", "MachineMetadata=zone=c", "MachineMetadata=disk=ssd"], {"m1"}),
    (["X-ConditionMachineMetadata=zone=a"], {"m1"}),
], ids=["one value", "several machines", "and", "and in one line", "or", "or and and", "1.0's name"])
def test_machine_metadata(lab, lines, allowed):
    names = [lab.file(f"meta{i}.service", service(fleet=lines)) for i in range(3)]
    lab.ctl("start", *names)
    assert {lab.where(name) for name in names} == allowed


def test_machine_metadata_that_no_machine_has(lab):
    said = refused(lab, "never.service", "MachineMetadata=zone=b", "MachineMetadata=disk=tape")
    assert "disk=tape" in said


def test_machine_of_puts_a_unit_beside_another(lab):
    machine = lab.start("leader.service")
    for i in range(3):
        follower = service(fleet=["MachineOf=leader.service"])
        assert lab.start(f"follower{i}.service", follower) == machine


def test_machine_of_waits_for_the_other_unit(lab):
    assert "later.service" in refused(lab, "waits.service", "MachineOf=later.service")
    machine = lab.start("later.service")
    assert lab.wait_where("waits.service") == machine


def test_machine_of_in_a_circle_is_refused_with_the_circle(lab):
    refused(lab, "hen.service", "MachineOf=egg.service")
    lab.file("egg.service", service(fleet=["MachineOf=hen.service"]))
    said = lab.ctl("start", "egg", status=1).stderr
    assert "egg.service -> hen.service -> egg.service" in said
    assert list(lab.units()) == ["hen.service"]


@pytest.mark.machines(3)
@pytest.mark.parametrize("key", ["Conflicts", "X-Conflicts"])
def test_a_unit_that_conflicts_goes_to_another_machine(lab, key):
    units = {f"mysql.{i}.service": service(fleet=[f"{key}=mysql*.service"]) for i in range(3)}
    machines = {lab.start(name, text) for name, text in units.items()}
    assert machines == {"m1", "m2", "m3"}
    said = refused(lab, "mysql.9.service", f"{key}=mysql*.service")
    assert "mysql.0.service" in said


def test_conflicts_hold_whichever_unit_declares_them(lab):
    pin = f"MachineID={lab.id['m1']}"
    lab.start("declares.service", service(fleet=[pin, "Conflicts=meek*.service"]))
    assert "declares.service" in refused(lab, "meek.service", pin)
    lab.start("quiet.service", service(fleet=[pin]))
    assert "quiet.service" in refused(lab, "loud.service", pin, "Conflicts=quiet.service")


def test_a_unit_that_waits_because_of_a_conflict_starts_when_it_is_gone(lab):
    pin = f"MachineID={lab.id['m1']}"
    lab.start("first.service", service(fleet=[pin]))
    refused(lab, "second.service", pin, "Conflicts=first.service")
    lab.ctl("destroy", "first")
    assert lab.wait_where("second.service") == "m1"


@pytest.mark.machines(3)
def test_a_global_unit_runs_on_every_machine_that_its_metadata_allow(lab):
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.file("ssd.service", service(fleet=["Global=true", "MachineMetadata=disk=ssd"]))
    assert lab.ctl("start", "every").stdout == "Triggered global unit every.service start\n"
    lab.ctl("start", "ssd")
    wait_for(lambda: lab.active("every.service") == ["m1", "m2", "m3"], "every.service")
    wait_for(lambda: lab.active("ssd.service") == ["m1", "m2"], "ssd.service")
    assert lab.ctl("status", "every").stdout.count("active") == 3
    for verb, said in (("stop", "inactive"), ("start", "active")):
        lab.ctl(verb, "every")
        wait_for(lambda: list(lab.states("every.service").values()) == 3 * [said], verb)
    lab.ctl("unload", "every")
    wait_for(lambda: lab.states("every.service") == {}, "unload")


@pytest.mark.machines(3)
def test_a_global_unit_goes_round_the_machines_of_what_it_conflicts_with(lab):
    lab.start("alone.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    lab.file("shy.service", service(fleet=["Global=true", "Conflicts=alone.service"]))
    lab.ctl("start", "shy")
    wait_for(lambda: lab.active("shy.service") == ["m1", "m3"], lambda: lab.states("shy.service"))


@pytest.mark.parametrize("key", ["MachineOf=x.service", "MachineID=" + 32 * "1",
                                 "Replaces=x.service"])
def test_global_with_a_key_it_may_not_have_is_refused(lab, key):
    lab.file("mixed.service", service(fleet=["Global=true", key]))
    assert key.split("=")[0] in lab.ctl("start", "mixed", status=1).stderr
    assert lab.units() == {}


@pytest.mark.machines(3)
def test_instances_take_the_text_of_their_template_with_specifiers_in_it(lab):
    lab.file("web@.service", service("ExecStart=/bin/sh -c 'echo I am %i of %p; exec sleep 1d'",
                                     fleet=["Conflicts=%p@*.service"]))
    lab.ctl("submit", "web@.service")
    lab.ctl("start", "web@1", "web@2", "web@3")
    where = {i: lab.where(f"web@{i}.service") for i in (1, 2, 3)}
    assert set(where.values()) == {"m1", "m2", "m3"}
    assert "I am 2 of web" in lab.run(where[2], "journalctl", "-u", "web@2.service")
    assert lab.ctl("cat", "web@2").stdout == lab.ctl("cat", "web@").stdout
    assert "web@" in lab.ctl("start", "web@4", status=6).stderr


@pytest.mark.machines(3)
def test_a_specifier_can_name_the_unit_to_follow(lab):
    lab.file("app@.service")
    lab.file("side@.service", service(fleet=["MachineOf=app@%i.service"]))
    lab.ctl("submit", "app@.service", "side@.service")
    lab.ctl("start", "app@1", "app@2", "side@1", "side@2")
    for i in (1, 2):
        assert lab.where(f"side@{i}.service") == lab.where(f"app@{i}.service")
    assert lab.where("app@1.service") != lab.where("app@2.service")


@pytest.mark.parametrize("verb", ["load", "start"])
def test_a_template_itself_can_only_be_submitted(lab, verb):
    lab.file("tmpl@.service")
    lab.ctl("submit", "tmpl@.service")
    assert "template" in lab.ctl(verb, "tmpl@.service", status=1).stderr
    assert lab.unit("tmpl@.service")["desiredState"] == "inactive"


def test_a_template_beside_the_named_instance_is_found(lab):
    lab.file("beside@.service")
    assert "launched on" in lab.ctl("start", "beside@7.service").stdout
