"""docs/compatibility.md names a test for each statement, and each test that it names exists; so do
the files that documents refer to."""
import glob
import os
import re

import manpage

DOCUMENT = os.path.join(manpage.ROOT, "docs", "compatibility.md")
_PYTEST = r"(?:`(test_\w+)\.py|`)::(test_\w+)`"  # the file stands once for those behind it
_GTEST_MACRO = r"^(?:TYPED_TEST|TEST|TEST_F|TEST_P|RC_GTEST_PROP)\((\w+),\s*(\w+)"
_GTEST = r"`([A-Z]\w*)\.([A-Z]\w*)`"


def _text():
    with open(DOCUMENT, encoding="utf-8") as file:
        return file.read()


def _python_tests():
    """{(module, function)} of all tests."""
    found = set()
    for path in glob.glob(os.path.join(manpage.ROOT, "tests", "*", "test_*.py")):
        with open(path, encoding="utf-8") as file:
            for name in re.findall(r"^def (test_\w+)\(", file.read(), re.MULTILINE):
                found.add((os.path.basename(path)[:-3], name))
    return found


def _unit_tests():
    """{(suite, name)} of all tests in C++; a typed or parametrised suite has one name here."""
    found = set()
    for path in glob.glob(os.path.join(manpage.ROOT, "src", "**", "*_test.cc"), recursive=True):
        with open(path, encoding="utf-8") as file:
            found |= set(re.findall(_GTEST_MACRO, file.read(), re.MULTILINE))
    return found


def _rows():
    """(statement, tests) of each row of a table."""
    rows = [line.strip("| \n").split(" | ") for line in _text().splitlines()
            if line.startswith("| ") and not re.match(r"\| (statement|---)", line)]
    return [(row[0], row[-1]) for row in rows]


def test_each_statement_names_a_test():
    rows = _rows()
    assert len(rows) > 50
    for statement, tests in rows:
        assert re.search(_PYTEST, tests) or re.search(_GTEST, tests), statement


def test_each_test_that_is_named_exists():
    python, unit = set(), set()
    for statement, tests in _rows():
        module = None
        for file, name in re.findall(_PYTEST, tests):
            module = file or module
            assert module, statement
            python.add((module, name))
        unit |= set(re.findall(_GTEST, tests))
        # Nothing is named in another form, which would not be looked up.
        assert tests.count("`") == 2 * len(re.findall(_PYTEST, tests) + re.findall(_GTEST, tests))
    assert len(python) > 200
    assert sorted(python - _python_tests()) == []
    assert sorted(unit - _unit_tests()) == []


def test_the_documents_refer_to_files_that_exist():
    for path in [*glob.glob(os.path.join(manpage.ROOT, "docs", "*.md")),
                 os.path.join(manpage.ROOT, "README.md")]:
        with open(path, encoding="utf-8") as file:
            for target in re.findall(r"\]\(([^)#:]+)\)", file.read()):
                assert os.path.exists(os.path.join(os.path.dirname(path), target)), (path, target)
