"""The HTTP API: lists of units, states and machines, in pages of token_limit entities."""
import base64

import pytest
from cluster import service, wait_for
from http_client import JSON, UNIT, api_of

LAB = {"machines": 2, "ttl": 3, "conf": ["token_limit=2"]}
pytestmark = pytest.mark.machines(2)


@pytest.fixture(name="api")
def lists_api(lab):
    return api_of(lab)


def pages(api, path, member):
    """The pages of a list; each is asked for with the token alone."""
    found = [api.get(path)]
    while "nextPageToken" in found[-1]:
        assert len(found) < 100, "the list has no end"
        found.append(api.get(f"{path.split('?')[0]}?nextPageToken={found[-1]['nextPageToken']}"))
    return [page[member] for page in found]


def pinned(lab, machine):
    return [UNIT, {"section": "X-Fleet", "name": "MachineID", "value": lab.id[machine]}]


def launch(lab, api):
    """Three units on each machine: a1, a2, a3 on m1; b1, b2, b3 on m2."""
    for prefix, machine in (("a", "m1"), ("b", "m2")):
        for number in (1, 2, 3):
            assert api.put(f"{prefix}{number}.service", "launched",
                           options=pinned(lab, machine)).status == 201
    wait_for(lambda: sum(len(page) for page in pages(api, "state", "states")) == 6
             and all(lab.active(name) for name in lab.units()), "six units to run")


def test_an_empty_cluster_has_empty_lists(api):
    assert api.get("units") == {"units": []}
    assert api.get("state") == {"states": []}


def test_units_come_in_pages_sorted_by_name(api):
    names = [f"u{number}.service" for number in range(5)]
    for name in reversed(names):
        api.put(name)
    found = pages(api, "units", "units")
    assert [len(page) for page in found] == [2, 2, 1], "token_limit is 2"
    assert [unit["name"] for page in found for unit in page] == names
    api.ask("DELETE", "units/u4.service")
    assert [len(page) for page in pages(api, "units", "units")] == [2, 2], "no empty last page"


def test_units_that_come_and_go_between_two_pages_lose_no_other(api):
    for number in range(5):
        api.put(f"u{number}.service")
    token = api.get("units")["nextPageToken"]
    api.ask("DELETE", "units/u1.service")
    api.ask("DELETE", "units/u2.service")
    api.put("u22.service")
    page = api.get(f"units?nextPageToken={token}")
    assert [unit["name"] for unit in page["units"]] == ["u22.service", "u3.service"]


def test_machines_come_in_pages_with_the_members_of_fleet_1(lab, api):
    machines = api.get("machines?limit=1")
    assert [len(page) for page in pages(api, "machines?limit=1", "machines")] == [1, 1]
    assert "nextPageToken" in machines
    machines = {machine["id"]: machine for machine in api.get("machines")["machines"]}
    assert {id_: machine["primaryIP"] for id_, machine in machines.items()} == {
        lab.id[name]: lab.ip[name] for name in lab.machines}
    for machine in machines.values():
        assert isinstance(machine["metadata"], dict)
        assert "PrimaryIP" not in machine and "ID" not in machine


def test_states_are_filtered_by_machine_and_by_unit(lab, api):
    launch(lab, api)
    everything = [state for page in pages(api, "state", "states") for state in page]
    assert [state["name"] for state in everything] == [
        "a1.service", "a2.service", "a3.service", "b1.service", "b2.service", "b3.service"]
    for state in everything:
        assert set(state) == {"name", "hash", "machineID", "systemdLoadState",
                              "systemdActiveState", "systemdSubState"}
        assert state["hash"] == api.get(f"units/{state['name']}")["hash"]
        machine = "m1" if state["name"].startswith("a") else "m2"
        assert state["machineID"] == lab.id[machine]
        assert (state["systemdLoadState"], state["systemdActiveState"],
                state["systemdSubState"]) == ("loaded", "active", "running")

    m2 = lab.id["m2"]
    assert api.get("state?unitName=a2.service")["states"] == [everything[1]]
    assert api.get(f"state?unitName=b2.service&machineID={m2}")["states"] == [everything[4]]
    assert api.get(f"state?unitName=a2.service&machineID={m2}") == {"states": []}
    assert api.get("state?unitName=a") == {"states": []}, "the whole name, no prefix of it"
    assert api.get("state?machineID=none") == {"states": []}
    assert api.get("state?unitName=&machineID=") == api.get("state"), "empty is no filter"


def test_a_page_token_carries_the_filters(lab, api):
    launch(lab, api)
    m2 = lab.id["m2"]
    first = api.get(f"state?machineID={m2}")
    token = first["nextPageToken"]
    assert [state["name"] for state in first["states"]] == ["b1.service", "b2.service"]
    for query in (f"nextPageToken={token}", f"nextPageToken={token}&machineID={m2}"):
        last = api.get(f"state?{query}")
        assert [state["name"] for state in last["states"]] == ["b3.service"], query
        assert "nextPageToken" not in last


def test_states_of_a_global_unit_come_in_pages_too(lab, api):
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.ctl("start", "every")
    wait_for(lambda: lab.active("every.service") == lab.machines, "the global unit")
    found = pages(api, "state?unitName=every.service&limit=1", "states")
    assert [state["machineID"] for page in found for state in page] == sorted(lab.id.values())


@pytest.mark.parametrize("path", ["units", "state", "machines"])
def test_a_bad_page_token_is_a_bad_request(api, path):
    for number in range(3):
        api.put(f"u{number}.service")
    good = api.get("units")["nextPageToken"]
    assert len(api.get(f"units?nextPageToken={good}")["units"]) == 1
    bad = ["x", "!!!", "%00", "AAAA", good + "AAAA",
           base64.urlsafe_b64encode(b'{"Page":0,"Limit":100}').decode()]
    bad += [good] if path != "units" else []  # of another list
    for token in bad:
        refused = api.ask("GET", f"{path}?nextPageToken={token}")
        assert refused.status == 400 and refused.error, token


def test_lists_have_a_content_type(api):
    for path in ("units", "state", "machines", "discovery"):
        assert api.ask("GET", path).headers["content-type"] == JSON


def test_every_machine_gives_the_same_answers(lab, api):
    launch(lab, api)
    other = api_of(lab, "m2")
    for path in ("units?limit=100", "state?limit=100", "machines"):
        wait_for(lambda: api.get(path) == other.get(path),  # pylint: disable=cell-var-from-loop
                 f"the same {path} on both machines")
    token = api.get("units")["nextPageToken"]
    assert other.get(f"units?nextPageToken={token}") == api.get(f"units?nextPageToken={token}")
