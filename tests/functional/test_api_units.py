"""The HTTP API: units, as a program written for fleet 1.0 makes, changes and ends them."""
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import service, wait_for
from http_client import JSON, UNIT, api_of

LAB = {"machines": 1, "ttl": 3}
FILE = [UNIT]
OTHER_FILE = [{**UNIT, "value": "/bin/sleep 1d"}]


@pytest.fixture(name="api")
def units_api(lab):
    return api_of(lab)


def reaches(api, name, state):
    """Waits until a unit's current state is this one; returns the entity then."""
    wait_for(lambda: api.get(f"units/{name}")["currentState"] == state, f"{name} to be {state}")
    return api.get(f"units/{name}")


def option(section, name, value):
    return {"section": section, "name": name, "value": value}


def test_put_creates_then_changes_and_delete_removes(lab, api):
    created = api.put("a.service", "inactive", options=FILE)
    assert (created.status, created.body) == (201, b"")
    unit = api.get("units/a.service")
    assert unit["name"] == "a.service" and unit["options"] == FILE
    assert (unit["desiredState"], unit["currentState"]) == ("inactive", "inactive")
    assert "machineID" not in unit, "it is on no machine"

    answers = [created]
    for state in ("loaded", "launched"):
        answers.append(api.ask("PUT", "units/a.service", {"desiredState": state}))
        unit = reaches(api, "a.service", state)
        assert unit["machineID"] == lab.id["m1"] and unit["desiredState"] == state
    assert lab.is_active("m1", "a.service")

    answers.append(api.ask("PUT", "units/a.service", {"desiredState": "inactive"}))
    wait_for(lambda: not lab.is_active("m1", "a.service") and not lab.local_units("m1"),
             "it to be unloaded")
    answers.append(api.ask("DELETE", "units/a.service"))
    assert [answer.status for answer in answers] == [201, 204, 204, 204, 204]
    assert {answer.headers["content-type"] for answer in answers} == {JSON}
    assert {answer.body for answer in answers} == {b""}
    assert "a.service" in api.ask("GET", "units/a.service").error
    gone = api.ask("DELETE", "units/a.service")
    assert gone.status == 404 and "a.service" in gone.error


def test_the_unit_entity_has_the_members_of_fleet_1(lab, api):
    api.put("a.service", "launched")
    wait_for(lambda: lab.active("a.service") == ["m1"], "it to run")
    members = {"name": str, "options": list, "desiredState": str, "currentState": str,
               "machineID": str}
    for unit in (api.get("units/a.service"), *api.get("units")["units"]):
        assert {name: type(unit.get(name)) for name in members} == members
        assert [set(element) for element in unit["options"]] == [{"section", "name", "value"}]


@pytest.mark.parametrize("also", ["options", "content"])
def test_another_text_for_a_unit_that_exists_is_a_conflict(api, also):
    text = {"options": FILE} if also == "options" else {"content": service()}
    other = {"options": OTHER_FILE} if also == "options" else {"content": service("Nice=1")}
    assert api.put("a.service", "inactive", **text).status == 201
    before = api.get("units/a.service")
    refused = api.put("a.service", "loaded", **other)
    assert refused.status == 409 and "a.service" in refused.error
    assert api.get("units/a.service") == before, "nothing of a refused request is done"
    assert api.put("a.service", "loaded", **text).status == 204
    assert api.get("units/a.service")["desiredState"] == "loaded"
    assert api.ask("PUT", "units/a.service?replace=true",
                   {"desiredState": "loaded", **other}).status == 204
    unit = api.get("units/a.service")
    assert unit["options"] != before["options"] and unit["content"] != before["content"]


@pytest.mark.parametrize("members", [{}, {"options": []}, {"options": None}], ids=str)
def test_a_state_for_a_unit_that_does_not_exist_is_a_conflict(api, members):
    refused = api.ask("PUT", "units/none.service", {"desiredState": "launched", **members})
    assert refused.status == 409
    assert refused.error == "unit does not exist and options field empty"
    assert api.units() == {}


def test_the_name_in_the_body_is_the_one_of_the_path_or_none(api):
    refused = api.put("a.service", name="b.service")
    assert refused.status == 400 and "b.service" in refused.error
    assert api.units() == {}
    assert api.put("a.service", name="a.service").status == 201
    assert api.put("a.service", "loaded").status == 204


def test_a_template_is_kept_but_not_activated(lab, api):
    for state in ("loaded", "launched"):
        refused = api.put("t@.service", state)
        assert refused.status == 400 and "template" in refused.error
    assert api.units() == {}
    assert api.put("t@.service", "inactive").status == 201
    for state in ("loaded", "launched"):
        refused = api.ask("PUT", "units/t@.service", {"desiredState": state})
        assert refused.status == 400 and "template" in refused.error
    assert api.get("units/t@.service")["desiredState"] == "inactive"
    assert lab.local_units("m1") == []


GOOD = {"desiredState": "launched", "options": FILE}
BAD_BODIES = {
    "state": {**GOOD, "desiredState": "bogus"},
    "state in another case": {**GOOD, "desiredState": "Launched"},
    "number as state": {**GOOD, "desiredState": 1},
    "options are no list": {**GOOD, "options": UNIT},
    "option is no object": {**GOOD, "options": ["ExecStart=/bin/true"]},
    "number as value": {**GOOD, "options": [option("Service", "ExecStart", 1)]},
    "no section": {**GOOD, "options": [{"name": "ExecStart", "value": "/bin/true"}]},
    "empty section": {**GOOD, "options": [option("", "ExecStart", "/bin/true")]},
    "section with a bracket": {**GOOD, "options": [option("Ser]vice", "ExecStart", "/bin/true")]},
    "section with a line": {**GOOD, "options": [option("Service]\nX=", "ExecStart", "/bin/true")]},
    "no name": {**GOOD, "options": [{"section": "Service", "value": "/bin/true"}]},
    "empty name": {**GOOD, "options": [option("Service", "", "/bin/true")]},
    "name with =": {**GOOD, "options": [option("Service", "Exec=Start", "/bin/true")]},
    "name with a line": {**GOOD, "options": [option("Service", "Nice\nExecStart", "/bin/true")]},
    "name as a comment": {**GOOD, "options": [option("Service", "#ExecStart", "/bin/true")]},
    "name as a section": {**GOOD, "options": [option("Service", "[Unit]", "/bin/true")]},
    "value with a line": {**GOOD, "options": [option("Service", "ExecStart", "/bin/a\n[Unit]")]},
    "value with NUL": {**GOOD, "options": [option("Service", "ExecStart", "/bin/a\0")]},
    "requirement": {**GOOD, "options": [*FILE, option("X-Fleet", "Global", "perhaps")]},
    "content": {"desiredState": "launched", "content": "no section\n"},
    "array": [GOOD],
    "string": "launched",
    "not JSON": b'{"desiredState":"launched",',
    "more than JSON": b'{"desiredState":"launched"} {}',
    "not UTF-8": b'{"desiredState":"launched","content":"[Unit]\\nDescription=\xff\\n"}',
    "empty": b"",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_unit_is_a_bad_request_and_nothing_is_stored(api, body):
    refused = api.ask("PUT", "units/a.service", body)
    assert refused.status == 400 and refused.error
    assert api.units() == {}


@pytest.mark.parametrize("body", [BAD_BODIES["state"], {"desiredState": "bogus"}], ids=str)
def test_a_bad_state_changes_nothing_of_a_unit_that_exists(api, body):
    assert api.put("a.service", "loaded").status == 201
    assert api.ask("PUT", "units/a.service", body).status == 400
    assert api.get("units/a.service")["desiredState"] == "loaded"
    assert api.ask("DELETE", "units/a.service").status == 204


@pytest.mark.parametrize("name", ["a", "a.txt", ".service", "a%20b.service", "a%2Fb.service",
                                  "..%2F..%2Fetc.service", "a%0A.service", "%C3%BC.service",
                                  "x@.mount", "a" * 248 + ".service"])
def test_a_bad_name_is_a_bad_request_and_nothing_is_stored(api, name):
    refused = api.ask("PUT", f"units/{name}", GOOD)
    assert refused.status == 400 and refused.error
    assert api.units() == {}


def test_an_unknown_fleet_key_is_refused_with_the_nearest_unless_forced(api):
    unit = {"desiredState": "inactive", "options": [*FILE, option("X-Fleet", "Conflict", "b*")]}
    refused = api.ask("PUT", "units/a.service", unit)
    assert refused.status == 400 and 'did you mean "Conflicts"' in refused.error
    assert api.units() == {}
    assert api.ask("PUT", "units/a.service?force=true", unit).status == 201


def test_a_unit_made_from_options_is_written_out_section_by_section(lab, api):
    options = [option("Service", "ExecStart", "/bin/sleep 1d"),
               option("Unit", "Description", "größer than %i"),
               option("Service", "Environment", ""),
               option("Service", "Environment", '"A=1 2" B=3'),
               option("X-Fleet", "Conflicts", "b*.service"),
               option("Unit", "After", "network.target")]
    assert api.put("a.service", "loaded", options=options).status == 201
    text = ('[Service]\nExecStart=/bin/sleep 1d\nEnvironment=\nEnvironment="A=1 2" B=3\n\n'
            "[Unit]\nDescription=größer than %i\nAfter=network.target\n\n"
            "[X-Fleet]\nConflicts=b*.service\n")
    assert lab.ctl("cat", "a").stdout == text
    unit = api.get("units/a.service")
    assert unit["content"] == text
    assert unit["hash"] == hashlib.sha256(text.encode()).hexdigest()
    order = {"Service": 0, "Unit": 1, "X-Fleet": 2}
    assert unit["options"] == sorted(options, key=lambda element: order[element["section"]])
    wait_for(lambda: lab.local_units("m1") == ["a.service"], "its file")
    assert lab.run("m1", "cat", "/run/fleet/units/a.service") == text


def test_a_content_is_kept_byte_for_byte_and_read_as_options(lab, api):
    text = ("# a comment\r\n\r\n[Service]\r\nExecStart=/bin/sh -c \\\r\n"
            "  'sleep 1d'\r\n; another\r\n[Unit]\nDescription = tab\tand “quotes”\n[Service]\n"
            "Nice=1")
    assert api.put("a.service", content=text).status == 201
    unit = api.get("units/a.service")
    assert unit["content"] == text
    assert unit["hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert [(element["section"], element["name"]) for element in unit["options"]] == [
        ("Service", "ExecStart"), ("Unit", "Description"), ("Service", "Nice")]
    assert lab.ctl("cat", "a", binary=True).stdout == text.encode()


def test_a_file_as_large_as_the_limit_takes_is_kept(api):
    text = service() + "#" + 1_000_000 * "x" + "\n"
    assert api.put("a.service", content=text).status == 201
    assert api.get("units/a.service")["content"] == text


def test_a_program_made_by_the_api_is_fleetctls_and_the_other_way_round(lab, api):
    assert api.put("api.service", "launched").status == 201
    wait_for(lambda: lab.active("api.service") == ["m1"], "the API's unit to run")
    assert lab.ctl("stop", "api").returncode == 0
    assert api.get("units/api.service")["desiredState"] == "loaded"
    lab.start("ctl.service")
    assert api.get("units/ctl.service")["currentState"] == "launched"
    assert api.ask("DELETE", "units/ctl.service").status == 204
    wait_for(lambda: not lab.is_active("m1", "ctl.service"), "it to stop")


@pytest.mark.parametrize("members", [
    None, ["name", "options", "desiredState"],
    ["name", "options", "desiredState", "currentState", "machineID"]], ids=str)
def test_an_entity_that_was_read_can_be_written_back(lab, api, members):
    """Programs change desiredState in what they got; those of fleet 1.0 know few members only."""
    text = service("# a comment that options do not have", fleet=["Conflicts=x"])
    lab.start("a.service", text)
    unit = api.get("units/a.service")
    unit = {name: value for name, value in unit.items() if not members or name in members}
    assert api.ask("PUT", "units/a.service", {**unit, "desiredState": "loaded"}).status == 204
    reaches(api, "a.service", "loaded")
    assert api.get("units/a.service")["content"] == text, "the text is as it was"


def test_members_that_are_empty_are_as_good_as_missing(lab, api):
    """Go programs of fleet 1.0 send them all."""
    unit = {"name": "", "desiredState": "launched", "currentState": "", "machineID": "",
            "options": FILE}
    assert api.ask("PUT", "units/a.service", unit).status == 201
    assert reaches(api, "a.service", "launched")["machineID"] == lab.id["m1"]
    assert api.ask("PUT", "units/a.service", {**unit, "options": [],
                                              "desiredState": "inactive"}).status == 204
    reaches(api, "a.service", "inactive")


def test_a_put_and_the_get_after_it_agree(api):
    """A program that polls after a change never sees the state before it."""
    for number in range(20):
        state = ("inactive", "loaded")[number % 2]
        assert api.put("a.service", state).status == (204 if number else 201)
        assert api.get("units/a.service")["desiredState"] == state
        assert [unit["desiredState"] for unit in api.get("units")["units"]] == [state]
    assert api.ask("DELETE", "units/a.service").status == 204
    assert api.get("units")["units"] == []


@pytest.mark.parametrize("name, encoded", [
    ("a-b_c:1.service", "a-b_c:1.service"), ("t@1.service", "t%401.service"),
    (r"dev-disk\x2d1.service", "dev-disk%5Cx2d1.service"), ("t@.timer", "t@.timer")])
def test_a_name_in_the_path_may_be_percent_encoded(api, name, encoded):
    assert api.put(encoded).status == 201
    assert list(api.units()) == [name]
    assert api.get(f"units/{encoded}")["name"] == name
    assert api.ask("DELETE", f"units/{encoded}").status == 204


def test_a_unit_without_a_state_is_inactive(api):
    assert api.ask("PUT", "units/a.service", {"options": FILE}).status == 201
    assert api.get("units/a.service")["desiredState"] == "inactive"


def test_an_instance_needs_a_text_of_its_own(api):
    """fleetctl makes instances from their template; this resource never did."""
    assert api.put("t@.service").status == 201
    refused = api.ask("PUT", "units/t@1.service", {"desiredState": "launched"})
    assert refused.status == 409
    assert refused.error == "unit does not exist and options field empty"
    assert list(api.units()) == ["t@.service"]
    assert api.put("t@1.service", "launched").status == 201


def test_of_programs_that_create_a_unit_at_once_one_succeeds(api):
    def create(number):
        return api.put("a.service", options=[{**UNIT, "value": f"/bin/sleep {number}"}]).status

    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(create, range(10)))
    assert sorted(codes) == [201] + 9 * [409]
    winner = codes.index(201)
    assert api.get("units/a.service")["options"][0]["value"] == f"/bin/sleep {winner}"
