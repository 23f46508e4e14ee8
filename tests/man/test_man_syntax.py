"""The manual pages are well formed, and what they show as examples can be copied."""
import os
import re
import subprocess

import manpage
import pytest


@pytest.mark.parametrize("page", manpage.PAGES)
def test_groff_and_mandoc_have_nothing_to_say_of_a_page(page):
    path = os.path.join(manpage.MAN, page)
    groff = subprocess.run(["groff", "-mdoc", "-Tutf8", "-ww", "-z", path], check=False,
                           capture_output=True, text=True)
    assert (groff.returncode, groff.stderr) == (0, "")
    lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], check=False,
                          capture_output=True, text=True)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


@pytest.mark.parametrize("page", manpage.PAGES)
def test_a_page_is_named_as_its_file_and_refers_only_to_pages_of_ours_that_exist(page):
    name, number = page.rsplit(".", 1)
    assert f".Dt {name.upper()} {number}\n" in manpage.source(page)
    for other, section in re.findall(r"^\.Xr (fleet\S*) (\d)", manpage.source(page), re.MULTILINE):
        assert f"{other}.{section}" in manpage.PAGES


@pytest.mark.parametrize("page", manpage.PAGES)
def test_what_is_to_be_copied_has_typed_dashes_and_quotes(page):
    for block in manpage.raw_literals(page):
        plain = re.sub(r"\\-|\\\(..|\\e|\\&", "", block)
        # roff sets these as typographic signs, which no shell and no systemd understands.
        assert not re.search(r"[-'`^~]", plain), f"write \\- \\(aq \\(ha \\(ti in:\n{block}"


@pytest.mark.parametrize("page", manpage.PAGES)
def test_a_page_uses_nothing_but_ascii(page):
    assert manpage.source(page).isascii()


def _units(page):
    for block in manpage.literal_blocks(page):
        named = re.match(r"# (\S+\.[a-z]+)\n", block)
        if named:
            yield named.group(1), block


def test_each_example_unit_is_accepted_by_fleetctl_verify(tmp_path):
    units = list(_units("fleet.unit.5"))
    assert len(units) >= 6
    for number, (name, block) in enumerate(units):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / name).write_text(block)
        code, said = manpage.run("fleetctl", "verify", str(directory / name))
        assert code == 0, f"{name}: {said}"


def test_each_example_of_a_section_is_accepted_by_fleetctl_verify(tmp_path):
    fragments = [block for block in manpage.literal_blocks("fleet.unit.5") if "[" not in block]
    assert len(fragments) >= 6
    for number, block in enumerate(fragments):
        file = tmp_path / f"fragment-{number}.service"
        file.write_text(f"[X-Fleet]\n{block}")
        code, said = manpage.run("fleetctl", "verify", str(file))
        assert code == 0, said


def test_each_example_configuration_is_accepted_by_fleetd(tmp_path):
    files = [block for block in manpage.literal_blocks("fleet.conf.5") if "[Service]" not in block]
    assert len(files) >= 2
    for block in files:
        # The files that it names are not here.
        for path in re.findall(r"=(/etc/fleet/\S+)", block):
            (tmp_path / os.path.basename(path)).touch()
        file = tmp_path / "fleet.conf"
        file.write_text(block.replace("/etc/fleet/", f"{tmp_path}/"))
        code, said = manpage.run("fleetd", "--config", str(file), "--check-config")
        assert code == 0, said


