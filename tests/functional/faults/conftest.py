"""One lab for a module, with units that run."""
import os

import pytest
from cluster import BIN
from scene import Scene


@pytest.fixture(scope="module")
def module_scenes():
    made = []
    yield made
    for scene in made:
        scene.close()


def possible():
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    if not (BIN / "fleetd").exists():
        pytest.skip(f"fleet is not built in {BIN}")


@pytest.fixture
def scene(module_scenes):
    """Everything runs, before and after each test; a test that fails leaves no lab to the next."""
    possible()
    if not module_scenes:
        module_scenes.append(Scene())
    scene = module_scenes[-1]
    try:
        scene.settle()
        yield scene
        scene.settle()
    except BaseException:
        module_scenes.remove(scene)
        scene.close()
        raise


@pytest.fixture
def broken_scene():
    """One for a test that breaks the promises itself."""
    possible()
    scene = Scene()
    try:
        scene.settle()
        yield scene
    finally:
        scene.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the end of each fleetd's journal to the report of a test that failed."""
    report = (yield).get_result()
    scene = getattr(item, "funcargs", {}).get("scene")
    if report.failed and call.when == "call" and scene is not None:
        for machine in scene.cluster.machines:
            report.sections.append((f"journal of fleet on {machine}",
                                    scene.cluster.journal(machine)))
