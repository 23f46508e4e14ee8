"""fleetctl(1) has each command, flag, variable and exit status of fleetctl, and no other."""
import os
import re

import manpage
import pytest

PAGE = "fleetctl.1"


def _source(*path):
    with open(os.path.join(manpage.ROOT, "src", *path), encoding="utf-8") as file:
        return file.read()


def _synopses():
    """{command: its synopsis}, in the order of the page."""
    heads = [head for head, _ in manpage.entries(manpage.section(PAGE, "COMMANDS"))]
    return {head.split()[0]: head for head in heads
            if re.match(r"[a-z][a-z-]*( [\[A-Z]|$)", head)}


def _subsection_of(command):
    """The part of COMMANDS that a command is in, its flags too."""
    return next(part for part in re.split(r"^ {3}(?=\S)", manpage.section(PAGE, "COMMANDS"),
                                          flags=re.MULTILINE)
                if re.search(rf"^ {{5}}{command}(?: |$)", part, re.MULTILINE))


def _entries(title):
    return dict(manpage.entries(manpage.section(PAGE, title)))


def test_the_page_has_the_commands_of_fleetctl_and_no_others():
    assert len(manpage.commands()) > 15
    assert sorted(_synopses()) == sorted(manpage.commands())


@pytest.mark.parametrize("command", manpage.commands())
def test_the_synopsis_of_a_command_has_its_flags_and_no_others(command):
    synopsis = _synopses()[command]
    spellings = re.findall(r"(?:-\w, )?--[a-z-]+(?:=[A-Z]+(?:\[,[A-Z]+\.\.\.\])?)?", synopsis)
    assert sorted(spellings) == sorted(flag.spelling for flag in manpage.flags_of(command))


@pytest.mark.parametrize("command", manpage.commands())
def test_each_flag_of_a_command_is_described_with_its_default(command):
    described = manpage.entries(_subsection_of(command))
    for flag in manpage.flags_of(command):
        bodies = [body for head, body in described if head == flag.spelling and body]
        assert bodies, f"no entry {flag.spelling}"
        if flag.default:
            assert any(re.search(rf"Default: '?{re.escape(flag.default)}\b", body)
                       for body in bodies), f"the default of {flag.spelling} is {flag.default}"


def test_the_formats_of_the_lists_are_described():
    described = dict(manpage.entries(_subsection_of("list-units")))["-o, --output=FORMAT"]
    flag = next(flag for flag in manpage.flags_of("list-units") if flag.name == "output")
    formats = re.findall(r"[a-z]+", re.sub(r"\(.*?\)| or ", " ", flag.help))
    assert len(formats) >= 5
    assert re.findall(r"'([a-z]+)'", described.split("Default")[0]) == formats


def test_the_flags_of_all_commands_are_described_with_their_defaults_and_no_others():
    described = _entries("OPTIONS")
    flags = manpage.global_flags()
    assert sorted(head for head in described if head.startswith("-")) == sorted(
        flag.spelling for flag in flags)
    for flag in flags:
        if flag.default:
            assert re.search(rf"Default: '?{re.escape(flag.default)}", described[flag.spelling]), \
                f"the default of {flag.spelling} is {flag.default}"


def _known_flags():
    flags = [flag for command in manpage.commands() for flag in manpage.flags_of(command)]
    flags += manpage.global_flags()
    return {flag.name for flag in flags} | {flag.letter for flag in flags if flag.letter}


def test_a_flag_that_fleetctl_ignores_is_in_the_compatibility_section():
    ignored = re.findall(r'\.name = "([a-z-]+)".*?\.ignored = true',
                         _source("fleetctl", "command.cc"))
    assert len(ignored) >= 5
    text = manpage.section(PAGE, "COMPATIBILITY")
    for flag in ignored:
        assert re.search(rf"--{flag}\b", text)


@pytest.mark.parametrize("page", manpage.PAGES)
def test_no_page_mentions_a_flag_of_fleetctl_that_does_not_exist(page):
    names = re.findall(r"\bFl (?:- ?)?([A-Za-z][a-z-]*)", manpage.source(page))
    if page == "fleetd.8":
        names = []  # its own, see test_man_fleetd
    for command in re.findall(r"fleetctl [^'|&\n]*", manpage.text(page)):
        names += re.findall(r" --([a-z-]+)", command.split(" cut ")[0])
    compatible = {"etcd-cafile", "etcd-certfile", "etcd-keyfile", "experimental-api", "sign"}
    unknown = set(names) - _known_flags() - compatible - {"flag"}
    assert not unknown


def test_the_page_has_each_variable_and_no_others():
    variables = set(re.findall(r"FLEETCTL_[A-Z_]+[A-Z]", manpage.section(PAGE, "ENVIRONMENT")))
    wanted = {f"FLEETCTL_{flag.name.upper().replace('-', '_')}" for flag in manpage.global_flags()
              if flag.name not in ("help", "version")}
    assert wanted <= variables
    names = {f"FLEETCTL_{name.upper().replace('-', '_')}" for name in _known_flags()}
    # These are no flags, because everybody can read a program's arguments.
    secret = set(re.findall(r'Variable\("(FLEETCTL_\w+)"\)', _source("fleetctl", "driver_main.cc")))
    assert len(secret) == 2 and secret <= variables
    assert variables <= names | secret


def test_the_page_has_each_exit_status_and_no_others():
    constants = re.findall(r"constexpr int k\w+ = (\d+);", _source("fleetctl", "exit_code.h"))
    assert len(constants) >= 8
    described = [head for head in _entries("EXIT STATUS") if head.isdigit()]
    assert described == constants


@pytest.mark.parametrize("command", ["list-units", "list-unit-files", "list-machines"])
def test_the_page_has_the_fields_of_a_list_and_its_default(command):
    _, out = manpage.run("fleetctl", "help", command)
    fields = re.search(r"Fields: ([a-z, ]+)\.", out).group(1).split(", ")
    default = re.search(r'\.default_fields = "([a-z,]+)"',
                        _source("fleetctl", "commands", f"{command.replace('-', '_')}.cc")).group(1)
    body = next(body for head, body in manpage.entries(manpage.section(PAGE, "COMMANDS"))
                if head.split()[0] == command)
    listed = re.search(r"Fields: ([^.]*)\.", body).group(1)
    assert re.findall(r"'([a-z]+)'", listed) == fields
    assert f"Default: '{default}'" in body
