"""fleet.unit(5) has each key, specifier and type of unit that fleet knows, and no other."""
import os
import re
import string

import manpage
import pytest

PAGE = "fleet.unit.5"
SECTION = "THE SECTION [X-FLEET]"


def _source(name):
    with open(os.path.join(manpage.ROOT, "src", "model", name), encoding="utf-8") as file:
        return file.read()


def _verify(tmp_path, *lines, name="web-front@a-b.service"):
    file = tmp_path / name
    file.write_text("[Service]\nExecStart=/bin/true\n[X-Fleet]\n" + "\n".join(lines) + "\n")
    return manpage.run("fleetctl", "verify", str(file))


def _spellings():
    """{key: whether it is a current one} of the parser's table."""
    table = re.search(r"kSpellings = \{\{(.*?)\}\};", _source("requirements.cc"), re.DOTALL)
    found = re.findall(r'\{"([A-Za-z-]+)", Key::\w+, (true|false)\}', table.group(1))
    assert len(found) >= 11
    return {key: current == "true" for key, current in found}


def _described():
    """([keys], [old spellings]) that have an entry."""
    heads = [head for head, _ in manpage.entries(manpage.section(PAGE, SECTION))]
    # `Key=VALUE` is an entry, `Key=value` below it an example.
    return ([head.split("=")[0] for head in heads if re.match(r"[A-Za-z]+=[A-Z]+\b", head)],
            [head for head in heads if head.startswith("X-")])


def test_the_page_has_each_key_and_old_spelling_and_no_others():
    keys, old = _described()
    spellings = _spellings()
    assert sorted(keys) == sorted(key for key, current in spellings.items() if current)
    assert sorted(old) == sorted(key for key, current in spellings.items() if not current)


def test_the_page_has_an_example_of_each_key():
    examples = {line.split("=")[0] for block in manpage.literal_blocks(PAGE) if "[" not in block
                for line in block.splitlines() if not line.startswith("#")}
    assert examples == set(_described()[0])


def test_each_key_of_the_page_is_known_to_fleetctl(tmp_path):
    for key in [*_described()[0], *_described()[1]]:
        _, said = _verify(tmp_path, f"{key}=")
        assert "unknown key" not in said
    assert "unknown key" in _verify(tmp_path, "NoSuchKeyAtAll=1")[1]


def test_the_page_has_the_specifiers_that_fleetctl_accepts_and_no_others(tmp_path):
    accepted = {letter for letter in string.ascii_letters + "%"
                if _verify(tmp_path, f"MachineID=%{letter}")[0] == 0}
    assert len(accepted) >= 9
    table = re.findall(r"^ +%(\S) ", manpage.section(PAGE, SECTION), re.MULTILINE)
    assert sorted(table) == sorted(accepted)


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "t", "y", "false", "no", "off", "0",
                                  "f", "n"])
def test_a_boolean_of_the_page_is_accepted(word, tmp_path):
    booleans = manpage.section(PAGE, SECTION).split("Booleans")[1].split("Globs")[0]
    assert f"'{word}'" in booleans
    assert _verify(tmp_path, f"Global={word.upper()}")[0] == 0


def test_the_page_has_each_type_of_unit_and_no_others():
    types = re.findall(r'\{"([a-z]+)", UnitType::', _source("unit_name.cc"))
    assert len(types) == 11
    named = re.search(r"ends in one of ([^\n]*?)\. ", manpage.section(PAGE, "NAMES")).group(1)
    assert sorted(re.findall(r"'\.([a-z]+)'", named)) == sorted(types)
