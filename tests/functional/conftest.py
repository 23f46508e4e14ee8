"""Labs for the functional tests. They need root and a build; FLEET_BIN names the folder of the
programs (default: build/release/bin), FLEET_LONG=1 (or --long) runs the tests marked `long` too.

A test that takes the fixture `lab` runs twice: [etcd] on the module's lab, LAB, and [embedded] on
one machine, m1, without etcd. Both are what users have, so a test is written for any number of
machines (lab.machines) where it can be. What cannot is not made for the embedded registry:

    @pytest.mark.machines(2)    # needs at least two machines (LAB has them)
    @pytest.mark.etcd           # needs etcd itself: lab.lab("etcd", …), lab.leader()
    pytestmark = pytest.mark.machines(3)              # all tests of the module
    LAB = {"etcd": "3"}                               # the module is about etcd
    LAB = {"machines": 1, "etcd": "none"}             # the module is about the embedded registry

`pytest -k embedded` runs one kind. With `--dist loadgroup` the kinds run beside each other, and
each test that has labs of its own (new_lab) for itself.
"""
import os

import pytest
from cluster import BIN, Cluster


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="run the tests marked `long` too")


def pytest_configure(config):
    for marker in ("long: takes minutes; runs with --long or FLEET_LONG=1",
                   "machines(N): needs N machines at least, so etcd too",
                   "etcd: needs etcd"):
        config.addinivalue_line("markers", marker)


def pytest_generate_tests(metafunc):
    if "registry" in metafunc.fixturenames:
        metafunc.parametrize("registry", registries(metafunc), indirect=True)


def registries(metafunc):
    """The kinds of registry that a test runs on."""
    options = getattr(metafunc.module, "LAB", {})
    marks = {mark.name: mark for mark in reversed(list(metafunc.definition.iter_markers()))}
    machines = marks["machines"].args[0] if "machines" in marks else 1
    if machines > options.get("machines", Cluster.MACHINES):
        raise pytest.UsageError(f"{metafunc.definition.nodeid} needs {machines} machines: "
                                "the module's LAB has fewer")
    if options.get("etcd") == "none":
        return ["embedded"]
    return ["etcd"] if "etcd" in options or "etcd" in marks or machines > 1 else [
        "etcd", "embedded"]


# First, because pytest-xdist reads the groups in the same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    long = config.getoption("--long", default=False) or os.environ.get("FLEET_LONG")
    for item in items:
        if item.get_closest_marker("long") and not long:
            item.add_marker(pytest.mark.skip(reason="runs with --long or FLEET_LONG=1"))
        if {"registry", "new_lab"} & set(getattr(item, "fixturenames", ())):
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="the lab needs root"))
            elif not all((BIN / program).exists() for program in ("fleetd", "fleetctl")):
                item.add_marker(pytest.mark.skip(reason=f"fleet is not built in {BIN}"))
        if shares_a_fixture(item):
            kind = item.callspec.params.get("registry") if hasattr(item, "callspec") else None
            item.add_marker(pytest.mark.xdist_group(f"{item.path.stem}-{kind or 'own'}"))


def shares_a_fixture(item):
    """With other tests of its module, so that they are for one worker (--dist loadgroup)."""
    return any(definition.scope == "module"
               for definitions in item._fixtureinfo.name2fixturedefs.values()
               for definition in definitions)


@pytest.fixture(scope="module")
def registry(request):
    """"etcd" or "embedded"."""
    return request.param


@pytest.fixture(scope="module")
def module_labs(registry):
    made = []
    yield made
    for cluster in made:
        cluster.down()


@pytest.fixture
def lab(request, registry, module_labs):
    """The module's lab, without any unit. The module may say of what kind it is:
    LAB = {"machines": 2, "ttl": 3}. A test leaves its machines as it found them."""
    if not module_labs:
        options = dict(getattr(request.module, "LAB", {}))
        if registry == "embedded":
            options.update(machines=1, etcd="none", metadata=[
                entry for entry in options.get("metadata", ()) if entry.startswith("m1:")])
        module_labs.append(Cluster(**options))
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
