"""What happens to units when machines, fleetd and networks fail. Each test has its own lab."""
from cluster import service, wait_for


def others(lab, *machines):
    return [machine for machine in lab.machines if machine not in machines]


def spread(lab, prefix, count, **options):
    """Starts `count` units and returns {name: machine}."""
    names = [lab.file(f"{prefix}{i}.service", service(**options)) for i in range(count)]
    lab.ctl("start", *names)
    return {name: lab.where(name) for name in names}


def test_the_units_of_a_crashed_machine_start_elsewhere(new_lab):
    lab = new_lab()
    placed = spread(lab, "u", 6)
    lab.lab("crash", "m2")
    for name, machine in placed.items():
        if machine == "m2":
            assert lab.wait_where(name, lambda where: where != "m2", at="m1") in ("m1", "m3")
        else:
            assert lab.where(name, at="m1") == machine
    lab.wait_members("m1", "m3", at="m1")
    lab.lab("boot", "m2")
    lab.wait_members("m1", "m2", "m3", at="m1")
    wait_for(lambda: lab.local_units("m2") == [], "the old copies to be gone")
    assert [name for name in placed if lab.is_active("m2", name)] == []


def test_a_unit_that_no_other_machine_may_run_waits_for_its_own(new_lab):
    lab = new_lab(metadata=["m2:disk=ssd"])
    assert lab.start("db.service", service(fleet=["MachineMetadata=disk=ssd"])) == "m2"
    lab.lab("crash", "m2")
    unit = wait_for(lambda: (lambda unit: unit if unit.get("reason") else None)(
        lab.units(at="m1").get("db.service", {})), "a reason why it waits")
    assert unit["desiredState"] == "launched" and unit["currentState"] == "inactive"
    assert lab.active("db.service", at="m1") == []
    row = lab.ctl("list-unit-files", "--no-legend", "db.service", at="m1").stdout.split("\t")
    assert [cell.strip() for cell in row[2:4]] == ["launched", "inactive"]
    lab.lab("boot", "m2")
    assert lab.wait_where("db.service") == "m2"
    wait_for(lambda: lab.is_active("m2", "db.service"), "systemd to run it")


def test_the_engine_of_another_machine_leads_when_the_leader_crashes(new_lab):
    lab = new_lab()
    spread(lab, "u", 3)
    first = wait_for(lab.leader, "an engine to lead")
    lab.lab("crash", first)
    witness = others(lab, first)[0]
    lab.wait_members(*others(lab, first), at=witness)
    lab.file("later.service")
    lab.ctl("start", "later", at=witness)
    assert lab.leader() in others(lab, first)
    for name in ("u0.service", "u1.service", "u2.service", "later.service"):
        assert lab.wait_where(name, lambda where: where != first, at=witness)


def test_a_machine_that_reboots_hands_its_units_over_and_comes_back(new_lab):
    lab = new_lab()
    placed = spread(lab, "u", 3)
    unit = next(name for name, machine in placed.items() if machine == "m2")
    lab.lab("reboot", "m2")
    lab.wait_members("m1", "m2", "m3")
    where = lab.wait_where(unit)
    running = wait_for(lambda: [name for name in lab.machines if lab.is_active(name, unit)],
                       f"{unit} to run")
    assert running == [where]
    lab.file("later.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    lab.ctl("start", "later")
    assert lab.where("later.service") == "m2"


def test_a_machine_cut_off_for_longer_than_its_ttl_stops_its_copy_when_it_is_back(new_lab):
    lab = new_lab()
    placed = spread(lab, "u", 3)
    unit = next(name for name, machine in placed.items() if machine == "m3")
    kept = next(name for name, machine in placed.items() if machine == "m1")
    before = lab.show("m1", kept)
    lab.lab("partition", "m3")
    elsewhere = lab.wait_where(unit, lambda machine: machine != "m3", at="m1")
    assert lab.is_active("m3", unit), "nothing may stop it while it cannot know"
    lab.lab("heal", "m3")
    wait_for(lambda: not lab.is_active("m3", unit), "the old copy to be stopped")
    lab.wait_members("m1", "m2", "m3")
    wait_for(lambda: lab.active(unit) == [elsewhere], lambda: f"{unit}: {lab.states(unit)}")
    assert lab.show("m1", kept) == before
    assert lab.local_units("m3") == []


def test_a_partition_shorter_than_the_ttl_changes_nothing(new_lab):
    lab = new_lab(ttl=60)
    spread(lab, "u", 3)
    runs, assignments = lab.runs(), lab.keys("/fleet/assignments/")
    members = lab.created("/fleet/machines/")
    cut, witness = others(lab, wait_for(lab.leader, "an engine to lead"))
    lab.lab("partition", cut)
    lab.file("later.service", service(fleet=[f"MachineID={lab.id[witness]}"]))
    lab.ctl("start", "later", at=witness)
    lab.lab("heal", cut)
    lab.file("last.service", service(fleet=[f"MachineID={lab.id[cut]}"]))
    lab.ctl("start", "last", at=witness)
    after = lab.runs()
    assert {run: after.get(run) for run in runs} == runs
    assert assignments.items() <= lab.keys("/fleet/assignments/").items()
    assert lab.created("/fleet/machines/") == members


def test_a_unit_that_is_destroyed_leaves_nothing(new_lab):
    lab = new_lab(machines=2)
    units = {"gone.service": service(install=["WantedBy=multi-user.target"]),
             "gone@.service": service(), "gone@1.service": service(),
             "all.service": service(fleet=["Global=true"])}
    for name, content in units.items():
        lab.file(name, content)
    lab.ctl("submit", "gone@.service")
    lab.ctl("start", "gone", "gone@1", "all")
    wait_for(lambda: lab.active("all.service") == ["m1", "m2"], "the global unit")
    lab.ctl("destroy", *units)
    assert lab.units() == {} and lab.list("list-units") == []
    for machine in lab.machines:
        assert lab.local_units(machine) == []
        assert lab.shell(machine, "find /run/systemd/system /etc/systemd/system "
                                  "-name 'gone*' -o -name 'all.service'") == ""
        assert lab.run(machine, "systemctl", "list-units", "--all", "--plain", "--no-legend",
                       "gone*", "all.service") == ""
    left = [key for key in lab.keys() if "gone" in key or "all.service" in key]
    assert left == []


def test_a_destroyed_unit_of_a_machine_that_is_away_is_gone_when_it_returns(new_lab):
    lab = new_lab()
    lab.file("away.service", service(fleet=[f"MachineID={lab.id['m3']}"]))
    lab.ctl("start", "away")
    lab.lab("partition", "m3")
    lab.wait_members("m1", "m2", at="m1")
    lab.ctl("destroy", "--no-block", "away", at="m1")
    assert lab.is_active("m3", "away.service")
    lab.lab("heal", "m3")
    wait_for(lambda: not lab.is_active("m3", "away.service"), "the machine to stop it")
    lab.wait_members("m1", "m2", "m3")
    wait_for(lambda: not lab.units() and not lab.list("list-units"),
             lambda: f"{lab.units()} {lab.list('list-units')}")
    wait_for(lambda: not [key for key in lab.keys() if "away" in key],
             lambda: f"keys remain: {[key for key in lab.keys() if 'away' in key]}")
    assert lab.local_units("m3") == []
