"""What the engine does not decide by itself, and the operator's word. Each test has its own lab."""
from cluster import service, wait_for


def assigned_to(lab, machine):
    return lab.keys(f"/fleet/assignments/{lab.id[machine]}/")


def test_a_machine_that_is_gone_for_good_is_forgotten(new_lab):
    lab = new_lab(metadata=["m3:disk=ssd"])
    assert lab.start("only.service", service(fleet=["MachineMetadata=disk=ssd"])) == "m3"
    assert lab.start("pinned.service", service(fleet=[f"MachineID={lab.id['m3']}"])) == "m3"
    refused = lab.ctl("forget", lab.id["m3"], status=None)
    assert refused.returncode != 0 and "member" in refused.stderr
    lab.lab("crash", "m3")
    lab.wait_members("m1", "m2", at="m1")
    wait_for(lambda: assigned_to(lab, "m3"), "the machine to keep what only it may run")
    lab.ctl("forget", lab.id["m3"][:12], at="m1")
    wait_for(lambda: not assigned_to(lab, "m3"), "what was assigned to it to be forgotten")
    wait_for(lambda: not lab.keys("/fleet/settings/"), "the operator's word to be used up")
    lab.lab("boot", "m3")
    assert lab.wait_where("only.service") == "m3"


def test_many_machines_that_go_missing_are_held_until_the_operator_says_otherwise(new_lab):
    lab = new_lab(machines=4, conf=["mass_loss_hold=10m"])
    names = [lab.file(f"u{i}.service", service()) for i in range(4)]
    lab.ctl("start", *names)
    placed = {name: lab.where(name) for name in names}
    assert sorted(placed.values()) == lab.machines
    lab.lab("partition", "m2,m3,m4")  # at one moment: alone, each would be a machine's failure
    wait_for(lambda: lab.keys("/fleet/cluster/hold"), "the hold")
    lost = next(name for name, machine in placed.items() if machine == "m4")
    explained = lab.ctl("explain", lost, at="m1").stdout
    assert "missing" in explained and "release-hold" in explained
    assert lab.start("new.service", service()) == "m1", "machines that are there take new units"
    assert lab.ctl("release-hold", at="m1").returncode == 0
    assert lab.wait_where(lost, lambda machine: machine != "m4", at="m1") == "m1"
    wait_for(lambda: not lab.keys("/fleet/cluster/hold"), "the hold to be over")
    again = lab.ctl("release-hold", at="m1", status=None)
    assert again.returncode != 0 and "no hold" in again.stderr


def test_half_of_the_missing_machines_being_back_ends_the_hold(new_lab):
    lab = new_lab(machines=4, conf=["mass_loss_hold=10m"])
    names = [lab.file(f"u{i}.service", service()) for i in range(4)]
    lab.ctl("start", *names)
    placed = {name: lab.where(name) for name in names}
    lab.lab("partition", "m2,m3,m4")  # at one moment: alone, each would be a machine's failure
    wait_for(lambda: lab.keys("/fleet/cluster/hold"), "the hold")
    lab.lab("heal", "m2,m3")
    wait_for(lambda: not lab.keys("/fleet/cluster/hold"), "the hold to be over")
    for name, machine in placed.items():
        if machine != "m4":
            assert lab.where(name, at="m1") == machine, "they ran all the time"
    lost = next(name for name, machine in placed.items() if machine == "m4")
    assert lab.wait_where(lost, lambda machine: machine != "m4", at="m1")


def test_a_unit_that_has_failed_is_moved_to_another_machine(new_lab):
    lab = new_lab()
    marker = "/run/fails-here"
    name = lab.file("flaky.service", service(f"ExecStart=/bin/sh -c 'test ! -e {marker} && exec sleep infinity'",
                                             fleet=["Reschedule=on-failure"]))
    lab.ctl("start", name)
    first = lab.where("flaky.service")
    lab.shell(first, f"touch {marker}; systemctl kill --signal=KILL flaky.service")
    second = lab.wait_where("flaky.service", lambda machine: machine != first)
    wait_for(lambda: lab.active("flaky.service") == [second], "it to run on the other machine")
    assert not lab.is_active(first, "flaky.service")
