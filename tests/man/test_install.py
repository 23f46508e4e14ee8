"""`cmake --install` leaves a complete fleet: programs, pages, systemd's files, documents."""
import os
import subprocess

import manpage
import pytest


def _build():
    """The build that the programs are from; the release build if they are a copy."""
    beside = os.path.dirname(manpage.BIN)
    return (beside if os.path.exists(os.path.join(beside, "cmake_install.cmake"))
            else os.path.join(manpage.ROOT, "build", "release"))


@pytest.fixture(scope="module", name="root")
def _root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    subprocess.run(["cmake", "--install", _build(), "--prefix", "/usr"], check=True,
                   env={**os.environ, "DESTDIR": str(root)}, stdout=subprocess.DEVNULL)
    return root


def test_the_programs_and_systemds_files_are_where_systemd_looks(root):
    for path in ("usr/bin/fleetd", "usr/bin/fleetctl", "usr/bin/fleet-guard",
                 "usr/lib/systemd/system/fleet.socket", "usr/lib/systemd/system/fleet.service",
                 "usr/lib/systemd/system/fleet-guard.service", "usr/lib/sysusers.d/fleet.conf",
                 "usr/lib/systemd/logind.conf.d/50-fleet.conf"):
        assert (root / path).is_file(), path
    assert not (root / "etc").exists()  # what is there is the user's


def test_the_installed_fleet_service_is_the_packaged_one(root):
    installed = (root / "usr/lib/systemd/system/fleet.service").read_text()
    with open(os.path.join(manpage.ROOT, "packaging", "fleet.service"), encoding="utf-8") as file:
        assert installed == file.read()


def test_fleet_service_names_the_fleetd_of_another_prefix(tmp_path):
    subprocess.run(["cmake", "--install", _build(), "--prefix", "/opt/fleet"], check=True,
                   env={**os.environ, "DESTDIR": str(tmp_path)}, stdout=subprocess.DEVNULL)
    service = (tmp_path / "opt/fleet/lib/systemd/system/fleet.service").read_text()
    assert "\nExecStart=/opt/fleet/bin/fleetd\n" in service
    assert (tmp_path / "opt/fleet/bin/fleetd").is_file()
    guard = (tmp_path / "opt/fleet/lib/systemd/system/fleet-guard.service").read_text()
    assert "\nExecStart=/opt/fleet/bin/fleet-guard\n" in guard


def test_each_manual_page_is_installed_where_man_finds_it(root):
    for page in manpage.PAGES:
        found = subprocess.run(["man", "-M", str(root / "usr/share/man"), "--where",
                                page[-1], page[:-2]], check=False, capture_output=True, text=True)
        assert found.stdout.strip() == str(root / f"usr/share/man/man{page[-1]}/{page}")


def test_each_document_and_the_example_configuration_are_installed(root):
    documents = [name for name in os.listdir(os.path.join(manpage.ROOT, "docs"))
                 if name.endswith(".md")]
    assert len(documents) >= 3
    for name in ["README.md", "fleet.conf", "examples/hello/hello.service", "monitoring/fleet.rules.yml",
                 *(f"docs/{name}" for name in documents)]:
        assert (root / "usr/share/doc/fleet" / name).is_file(), name
