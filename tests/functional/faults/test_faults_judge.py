"""The judge of lab/chaos sees what is wrong on real machines: things done behind fleet's back."""
from cluster import wait_for
from scene import checker


def found(scene):
    return checker.check(scene.history())


def test_a_stop_behind_fleets_back_is_found(broken_scene):
    scene = broken_scene
    [machine] = scene.where("c-plain1.service")
    scene.cluster.run(machine, "systemctl", "stop", "c-plain1.service")
    wait_for(lambda: found(scene), "the judge to see it")
    [violation] = found(scene)
    assert violation.invariant == "S3" and "nothing in its assignment said so" in violation.text


def test_a_unit_that_dies_is_found(broken_scene):
    scene = broken_scene
    [machine] = scene.where("c-plain2.service")
    scene.cluster.run(machine, "systemctl", "kill", "--signal=KILL", "c-plain2.service")
    wait_for(lambda: found(scene), "the judge to see it")
    [violation] = found(scene)
    assert violation.invariant == "S3" and "by itself" in violation.text


def test_a_second_copy_behind_fleets_back_is_found(broken_scene):
    scene = broken_scene
    [machine] = scene.where("c-plain3.service")
    other = next(name for name in scene.cluster.machines if name != machine)
    scene.cluster.shell(other, "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' "
                               "> /run/systemd/system/c-plain3.service; "
                               "systemctl start c-plain3.service")
    wait_for(lambda: found(scene), "the judge to see it")
    [violation] = found(scene)
    assert violation.invariant == "S1" and f"nothing assigned it to {other}" in violation.text
    [wrong] = checker.misplaced(scene.history(), scene.world.registered(), scene.world.actual(),
                                scene.cluster.machines)
    assert f"c-plain3.service (launched) runs on {', '.join(sorted((machine, other)))}" in wrong
