"""Machines that lose their power, with and without a goodbye."""


def undisturbed(before, after, *machines):
    """What ran on these machines before runs there still, by the same invocation."""
    return {key: run for key, run in before.items() if key[1] in machines}.items() <= after.items()


def test_a_crashed_machines_units_run_elsewhere_and_the_others_are_left_alone(scene):
    before, lost = scene.runs(), scene.on("m2") - {"c-global.service"}
    scene.break_it("crash", "m2", seconds=6)
    scene.settle()
    assert lost and all(scene.where(unit) != ["m2"] for unit in lost)
    assert undisturbed(before, scene.runs(), "m1", "m3")


def test_a_machine_that_is_back_before_its_lease_ends_runs_its_units_again(scene):
    before = scene.runs()
    scene.break_it("crash", "m1", seconds=0)
    scene.settle()
    assert undisturbed(before, scene.runs(), "m2", "m3")


def test_a_machine_with_an_emptied_disk_joins_anew(scene):
    before = scene.runs()
    scene.break_it("crash and emptied disk", "m3", seconds=5)
    scene.settle()
    assert undisturbed(before, scene.runs(), "m1", "m2")


def test_a_reboot_hands_units_over(scene):
    before, moved = scene.runs(), scene.on("m1") - {"c-global.service"}
    scene.break_it("reboot", "m1")
    scene.settle()
    assert all(scene.where(unit) != ["m1"] for unit in moved)
    assert undisturbed(before, scene.runs(), "m2", "m3")


def test_a_machine_that_is_switched_off_hands_units_over(scene):
    before = scene.runs()
    scene.break_it("power off", "m2", seconds=2)
    scene.settle()
    assert undisturbed(before, scene.runs(), "m1", "m3")


def test_everything_comes_back_after_all_machines_reboot_at_once(scene):
    scene.break_it("all machines rebooted")
    scene.settle()


def test_everything_comes_back_after_all_machines_lose_their_power_at_once(scene):
    scene.break_it("all machines crashed", seconds=1)
    scene.settle()
