"""fleetd(8), fleet.conf(5) have each flag, signal, exit status and key of fleetd, and no other."""
import glob
import os
import re

import manpage
import pytest


def _source(name):
    with open(os.path.join(manpage.ROOT, "src", "fleetd", name), encoding="utf-8") as file:
        return file.read()


# --- fleetd(8) ------------------------------------------------------------------------------------

def test_the_page_has_the_flags_of_fleetd_and_no_others():
    _, usage = manpage.run("fleetd", "--no-such-flag")
    flags = re.findall(r"^  (--[a-z-]+(?: [A-Z]+)?)  ", usage, re.MULTILINE)
    assert len(flags) >= 3
    described = [head for head, _ in
                 manpage.entries(manpage.section("fleetd.8", "DESCRIPTION"))]
    assert [head for head in described if head.startswith("--")] == flags
    synopsis = manpage.section("fleetd.8", "SYNOPSIS")
    assert re.findall(r"\[(--[^\]]+)\]", synopsis) == flags
    mentioned = set(re.findall(r"\bFl -([a-z-]+)", manpage.source("fleetd.8")))
    assert {f"--{name}" for name in mentioned} == {flag.split()[0] for flag in flags}


def test_the_page_has_the_signals_of_fleetd_and_no_others():
    watched = re.search(r"kSignals = \{([^}]*)\}", _source("signals.cc")).group(1)
    described = [head for head, _ in manpage.entries(manpage.section("fleetd.8", "SIGNALS"))]
    assert [head for head in described if head.startswith("SIG")] == watched.split(", ")


def test_the_page_has_the_exit_statuses_that_fleetd_has(tmp_path):
    wrong = tmp_path / "fleet.conf"
    wrong.write_text("no_such_key=1\n")
    codes = {manpage.run("fleetd", "--version")[0],
             manpage.run("fleetd", "--config", str(wrong))[0],
             manpage.run("fleetd", "--no-such-flag")[0]}
    described = [head for head, _ in manpage.entries(manpage.section("fleetd.8", "EXIT STATUS"))]
    assert {int(head) for head in described if head.isdigit()} == codes


def test_the_log_lines_of_the_page_are_in_the_program():
    described = [head for head, _ in manpage.entries(manpage.section("fleetd.8", "LOG"))]
    lines = [head.strip("'") for head in described if head.startswith("'")]
    assert len(lines) >= 2
    program = _source("daemon.cc") + _source("member.cc")
    for line in lines:
        assert line in program


# --- fleet.conf(5) --------------------------------------------------------------------------------

@pytest.fixture(scope="module", name="keys")
def _keys(tmp_path_factory):
    """{key: default} as fleetd shows it for an empty file."""
    empty = tmp_path_factory.mktemp("conf") / "fleet.conf"
    empty.touch()
    code, out = manpage.run("fleetd", "--config", str(empty), "--check-config")
    assert code == 0
    return dict(re.findall(r"^([a-z_]+)=(.*?) +# default$", out, re.MULTILINE))


def _described(title):
    return {head.split("=")[0]: body
            for head, body in manpage.entries(manpage.section("fleet.conf.5", title))
            if re.match(r"[a-z_]+=[A-Za-z|]+$", head)}


def test_the_page_has_the_keys_of_fleetd_and_no_others(keys):
    assert len(keys) > 30
    described = [*_described("KEYS"), *_described("RESERVED KEYS")]
    assert sorted(described) == sorted(keys)


def test_the_page_has_the_default_of_each_key(keys):
    elsewhere = {"public_ip": "the address of the default route", "engine_ttl": "agent_ttl"}
    described = {**_described("KEYS"), **_described("RESERVED KEYS")}
    for key, default in keys.items():
        wanted = elsewhere.get(key, default) or "none"
        assert re.search(rf"Default: {re.escape(wanted)}[.,]", described[key]), \
            f"{key}: the default is {wanted}"


def test_the_page_marks_what_a_reload_takes_over():
    reloadable = set(re.findall(r'Reloadable\(\s*Key\("([a-z_]+)"', _source("config_keys.cc")))
    assert len(reloadable) > 4
    marked = {key for key, body in _described("KEYS").items() if "(reload)" in body}
    assert marked == reloadable


def test_the_page_calls_reserved_what_the_program_does_not_use(keys):
    files = [path for path in glob.glob(os.path.join(manpage.ROOT, "src", "fleetd", "*.cc"))
             if not os.path.basename(path).startswith("config")]
    program = "".join(_source(os.path.basename(path)) for path in files)
    unused = {key for key in keys if not re.search(rf"\b{key}\b", program)}
    assert set(_described("RESERVED KEYS")) == unused


@pytest.mark.parametrize("page", manpage.PAGES)
def test_no_page_mentions_a_key_of_fleet_conf_that_does_not_exist(page, keys):
    mentioned = set(re.findall(r"\bVa ([a-z][a-z_*]*)", manpage.source(page)))
    mentioned |= {name.lower() for name in re.findall(r"\bFLEET_([A-Z_]+)", manpage.text(page))}
    assert mentioned - set(keys) - {"key", "value", "listen_*file", "etcd_*file"} == set()
