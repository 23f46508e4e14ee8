"""Labs for the functional tests. They need root and a build; FLEET_BIN names the folder of the
programs (default: build/release/bin), FLEET_LONG=1 (or --long) runs the tests marked `long` too."""
import os

import pytest
from cluster import BIN, Cluster


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: takes minutes; runs with --long or FLEET_LONG=1")


def pytest_collection_modifyitems(config, items):
    long = config.getoption("--long", default=False) or os.environ.get("FLEET_LONG")
    for item in items:
        if item.get_closest_marker("long") and not long:
            item.add_marker(pytest.mark.skip(reason="runs with --long or FLEET_LONG=1"))
        if {"lab", "new_lab"} & set(getattr(item, "fixturenames", ())):
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="the lab needs root"))
            elif not all((BIN / program).exists() for program in ("fleetd", "fleetctl")):
                item.add_marker(pytest.mark.skip(reason=f"fleet is not built in {BIN}"))


@pytest.fixture(scope="module")
def module_labs():
    made = []
    yield made
    for cluster in made:
        cluster.down()


@pytest.fixture
def lab(request, module_labs):
    """The module's lab, without any unit. The module may say of what kind it is:
    LAB = {"machines": 1, "ttl": 3}. A test leaves its machines as it found them."""
    if not module_labs:
        module_labs.append(Cluster(**getattr(request.module, "LAB", {})))
    cluster = module_labs[-1]
    yield cluster
    try:
        cluster.clean()
    except BaseException:
        module_labs.remove(cluster)  # the next test has a fresh one
        cluster.down()
        raise


@pytest.fixture
def new_lab(request):
    """Makes a lab for one test that will not leave it as it was: new_lab(machines=1, ttl=3)."""
    made = []

    def make(**options):
        made.append(Cluster(**options))
        return made[-1]

    make.made = made
    yield make
    for cluster in made:
        cluster.down()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the end of each fleetd's journal to the report of a test that failed."""
    report = (yield).get_result()
    if not report.failed or call.when == "teardown":
        return
    arguments = getattr(item, "funcargs", {})
    clusters = list(getattr(arguments.get("new_lab"), "made", []))
    clusters += [arguments["lab"]] if "lab" in arguments else []
    for cluster in clusters:
        for machine in cluster.machines:
            report.sections.append((f"journal of fleet on {machine}", cluster.journal(machine)))
