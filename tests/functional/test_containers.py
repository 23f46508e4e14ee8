"""Containers as units: the examples for podman and docker, on machines that have them."""
import pytest
from cluster import ROOT, wait_for
from images import make_busybox


@pytest.mark.parametrize("engine, image", [
    ("podman", "localhost/busybox"),
    pytest.param("docker", "busybox", marks=pytest.mark.long),
])
def test_a_container_runs_is_shown_fails_over_and_leaves_nothing(new_lab, engine, image):
    lab = new_lab(machines=2, containers=[engine])
    for machine in lab.machines:
        make_busybox(lab, machine, engine, image)
    name = f"hello-{engine}.service"
    example = str(ROOT / "examples" / "hello" / name)

    def containers(machine, *options):
        return lab.run(machine, engine, "ps", "--format={{.ID}}", *options).split()

    assert f"Unit {name} launched on" in lab.ctl("start", example).stdout
    first = lab.where(name)
    second = next(machine for machine in lab.machines if machine != first)
    (container,) = wait_for(lambda: containers(first), "the container")
    assert containers(second) == []
    hello = f"Hello from container {container}"
    for verb in ("status", "journal"):
        wait_for(lambda: hello in lab.ctl(verb, name).stdout, f"{verb} to show it")

    lab.lab("crash", first)
    assert lab.wait_where(name, lambda machine: machine == second, at=second) == second
    (container,) = wait_for(lambda: containers(second), "the container on the other machine")
    wait_for(lambda: f"Hello from container {container}" in lab.ctl(
        "journal", name, at=second).stdout, "journal to show it")
    lab.lab("boot", first)
    lab.wait_members(*lab.machines)
    assert containers(first) == [], "it does not come back there"
    assert containers(second) == [container]

    lab.ctl("destroy", name)
    assert containers(second, "--all") == []
    assert "conmon" not in lab.shell(second, "ps -e")
