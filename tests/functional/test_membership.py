"""Machines that join, leave and come back, and the units that follow from it. A lab for each."""
from cluster import service, wait_for


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
