"""Machines that join, leave and come back, and the units that follow from it. A lab for each."""
from cluster import service, wait_for
from http_client import api_of, said, serves, unix_api_of


def test_global_and_waiting_units_start_on_a_machine_that_joins_later(new_lab):
    lab = new_lab(metadata=["m3:disk=ssd"])
    lab.lab("crash", "m3")
    lab.wait_members("m1", "m2", at="m1")
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.file("ssd.service", service(fleet=["MachineMetadata=disk=ssd"]))
    lab.ctl("start", "every", at="m1")
    lab.ctl("start", "ssd", status=6, at="m1")
    wait_for(lambda: lab.active("every.service", at="m1") == ["m1", "m2"], "the global unit")
    lab.lab("boot", "m3", "--wipe")
    assert lab.wait_where("ssd.service") == "m3"
    wait_for(lambda: lab.active("every.service") == ["m1", "m2", "m3"], "it on the new machine")
    assert lab.is_active("m3", "every.service")


def test_a_follower_moves_with_the_unit_it_follows(new_lab):
    lab = new_lab()
    machine = lab.start("leader.service")
    lab.start("follower.service", service(fleet=["MachineOf=leader.service"]))
    lab.lab("crash", machine)
    witness = next(name for name in lab.machines if name != machine)
    elsewhere = lab.wait_where("leader.service", lambda where: where != machine, at=witness)
    assert lab.wait_where("follower.service", lambda where: where != machine,
                          at=witness) == elsewhere


def test_metadata_that_change_on_reload_move_no_unit_that_may_stay(new_lab):
    lab = new_lab(machines=2, metadata=["m1:zone=a", "m2:zone=b"])
    assert lab.start("stays.service", service(fleet=["MachineMetadata=zone=a"])) == "m1"
    before = lab.show("m1", "stays.service")
    lab.shell("m1", "sed -i s/zone=a/zone=a,disk=ssd/ /etc/fleet/fleet.conf && "
                    "systemctl reload fleet")
    wait_for(lambda: any(machine["metadata"] == {"zone": "a", "disk": "ssd"}
                         for machine in lab.list("list-machines")), "the new metadata")
    assert lab.start("ssd.service", service(fleet=["MachineMetadata=disk=ssd"])) == "m1"
    assert lab.show("m1", "stays.service") == before
    assert "Reloading configuration" in lab.journal("m1")


def test_a_machine_with_a_broken_fleet_keeps_the_others_working(new_lab):
    """A fleetd that cannot start is one machine fewer, not a cluster less."""
    lab = new_lab()
    lab.shell("m2", "echo agent_tll=5s >> /etc/fleet/fleet.conf; systemctl restart fleet",
              status=None)
    lab.wait_members("m1", "m3", at="m1")
    assert 'did you mean "agent_ttl"' in lab.journal("m2")
    wait_for(lambda: int(lab.show("m2", "fleet", "NRestarts")["NRestarts"]) > 6,
             "systemd to try again and again")
    lab.file("works.service")
    lab.ctl("start", "works", at="m1")
    assert lab.where("works.service", at="m1") in ("m1", "m3")
    lab.shell("m2", "sed -i /agent_tll/d /etc/fleet/fleet.conf")
    lab.wait_members("m1", "m2", "m3", at="m1")


def wait_until_named(api, address):
    """Waits until the API says which other machine has its machine's id."""
    wait_for(lambda: address in api.ask("GET", "units").error, f"{address} to be named")


def become(lab, machine, id_):
    """Gives a machine this id; fleetd reads it when it starts."""
    lab.run(machine, "systemctl", "stop", "fleet")
    lab.shell(machine, f"echo {id_} > /etc/machine-id; systemctl start fleet")


def test_a_second_machine_with_the_same_id_is_refused_until_it_has_one_of_its_own(new_lab):
    lab = new_lab(machines=2)
    lab.file("pinned.service", service(fleet=[f"MachineID={lab.id['m1']}"]))
    lab.ctl("start", "pinned")
    runs, fleetd = lab.runs("m1"), lab.show("m1", "fleet")
    member = f"/fleet/machines/{lab.id['m1']}"
    created = lab.created(member)
    become(lab, "m2", lab.id["m1"])
    assert lab.is_active("m2", "fleet"), "it is ready, and says what is wrong"
    for api in (api_of(lab, "m2"), unix_api_of(lab, "m2")):
        wait_until_named(api, lab.ip["m1"])
        for path in ("units", "state", "machines", "units/pinned.service"):
            answer = api.ask("GET", path)
            assert answer.status == 503 and "retry-after" in answer.headers
            assert answer.error.startswith("fleet server unable to communicate with etcd")
            assert lab.ip["m1"] in answer.error and lab.id["m1"] in answer.error
        assert api.put("x.service").status == 503
    assert lab.ip["m1"] in lab.ctl("list-units", at="m2", status=1).stderr
    wait_for(lambda: lab.id["m1"] in said(lab, "m2", "err") and lab.ip["m1"] in said(lab, "m2"),
             lambda: f"it to be in the journal:\n{said(lab, 'm2')}")
    assert lab.local_units("m2") == [] and not lab.is_active("m2", "pinned.service")
    assert lab.members(at="m1") == {"m1"} and lab.ctl("list-machines").stdout.count(lab.ip["m1"])
    assert lab.runs("m1") == runs and lab.show("m1", "fleet") == fleetd
    assert lab.created(member) == created

    lab.shell("m2", f"echo {lab.id['m2']} > /etc/machine-id")
    lab.lab("reboot", "m2")
    lab.wait_members("m1", "m2")
    lab.file("second.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    lab.ctl("start", "second", at="m2")
    assert lab.where("second.service") == "m2"
    assert lab.runs("m1") == runs and lab.show("m1", "fleet") == fleetd


def test_the_second_machine_with_an_id_joins_by_itself_when_the_first_has_gone(new_lab):
    lab = new_lab(machines=2)
    become(lab, "m2", lab.id["m1"])
    wait_until_named(api_of(lab, "m2"), lab.ip["m1"])
    fleetd = lab.show("m2", "fleet")
    lab.run("m1", "systemctl", "stop", "fleet")
    wait_for(lambda: serves(api_of(lab, "m2")), "m2 to join")
    assert [machine["primaryIP"] for machine in api_of(lab, "m2").get("machines")["machines"]] == [
        lab.ip["m2"]]
    assert lab.show("m2", "fleet") == fleetd
    lab.run("m1", "systemctl", "start", "fleet")
    wait_until_named(api_of(lab, "m1"), lab.ip["m2"])  # now the first is the second
