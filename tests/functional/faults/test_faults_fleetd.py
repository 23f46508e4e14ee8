"""A fleetd that dies, hangs, is restarted or stopped, or cannot write, and systemd beside it."""
import threading

from cluster import wait_for
from scene import PLAIN, TTL, plan

PLAIN_NAMES = {each.name for each in PLAIN}


def test_a_killed_fleetd_changes_nothing(scene):
    before = scene.runs()
    scene.break_it("fleetd killed", "m1")
    scene.settle()
    assert scene.runs() == before


def test_all_fleetds_killed_at_once_change_nothing(scene):
    before = scene.runs()
    scene.break_it("all fleetds killed")
    scene.settle()
    assert scene.runs() == before


def test_a_restarted_fleetd_changes_nothing(scene):
    before = scene.runs()
    scene.break_it("fleetd restarted", "m2")
    scene.settle()
    assert scene.runs() == before


def test_a_fleetd_that_hangs_for_less_than_the_ttl_changes_nothing(scene):
    before = scene.runs()
    scene.break_it("fleetd paused", "m3", seconds=TTL / 4)
    scene.settle()
    assert scene.runs() == before


def test_what_a_hanging_fleetd_keeps_running_is_stopped_when_it_goes_on(scene):
    before = scene.runs()
    scene.break_it("fleetd paused", "m3", seconds=2 * TTL + 1)
    scene.settle()
    after = scene.runs()
    assert {key: run for key, run in before.items() if key[1] != "m3"}.items() <= after.items()


def test_the_units_of_a_stopped_fleetd_move(scene):
    before, moved = scene.runs(), scene.on("m2") - {"c-global.service"}
    scene.break_it("fleetd stopped", "m2", seconds=2)
    scene.settle()
    assert all(scene.where(unit) != ["m2"] for unit in moved)
    after = scene.runs()
    assert {key: run for key, run in before.items() if key[1] != "m2"}.items() <= after.items()


def test_a_systemd_that_executes_itself_anew_changes_nothing(scene):
    """As its upgrade does. What happens to the units afterwards is still seen."""
    before = scene.runs()
    scene.break_it("systemd re-executed", "m1")
    scene.settle()
    assert scene.runs() == before
    units = [unit for unit, machine in before if machine == "m1" and unit in PLAIN_NAMES]
    scene.cluster.ctl("restart", "--timeout=20s", *units)
    scene.settle()


def test_a_full_disk_holds_up_what_is_to_be_started_and_nothing_else(scene):
    """The unit starts as soon as its file can be written."""
    before = scene.runs()
    late = plan.Subject("c-late.service", fleet=(f"MachineID={scene.cluster.id['m1']}",))
    scene.units[late.name] = late.unit()
    fault = threading.Thread(target=scene.break_it, args=("disk full", "m1", 4))
    fault.start()
    wait_for(lambda: scene.cluster.run("m1", "findmnt", "-bno", "AVAIL", "/run").strip() == "0",
             "the disk to be full")
    scene.cluster.file(late.name, late.text(1))
    scene.cluster.ctl("start", "--no-block", late.name)
    fault.join()
    scene.settle()
    [run] = [run for run in scene.history().runs if run.unit == late.name]
    assert run.machine == "m1" and run.start > scene.history().faults[-1].end - 0.5
    after = scene.runs()
    assert before.items() <= after.items()
    scene.cluster.ctl("destroy", late.name)
