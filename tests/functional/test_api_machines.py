"""The HTTP API: PATCH /machines in the dialect of fleet 1.0, and what it lasts across."""
import pytest
from cluster import service, wait_for
from http_client import JSON, api_of

LAB = {"machines": 2, "ttl": 3, "metadata": ["m1:zone=a,disk=ssd"]}
pytestmark = pytest.mark.machines(2)


@pytest.fixture(name="api")
def machines_api(lab):
    """Machine m1's metadata is that of its configuration, before and after."""
    api = api_of(lab)
    yield api
    m1, m2 = lab.id["m1"], lab.id["m2"]
    api.patch(*(remove(m1, key) for key in api.metadata(m1) if key not in ("zone", "disk")),
              *(remove(m2, key) for key in api.metadata(m2)),
              add(m1, "zone", "a"), add(m1, "disk", "ssd"))


def path(machine, key):
    return f"/{machine}/metadata/{key}"


def add(machine, key, value, op="add"):
    return {"op": op, "path": path(machine, key), "value": value}


def remove(machine, key):
    return {"op": "remove", "path": path(machine, key)}


def test_add_and_replace_set_and_remove_removes(lab, api):
    m1 = lab.id["m1"]
    assert api.metadata(m1) == {"zone": "a", "disk": "ssd"}
    answer = api.patch(add(m1, "zone", "b"), add(m1, "rack", "1"),
                       add(m1, "region", "eu", op="replace"), remove(m1, "disk"))
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["content-type"] == JSON
    assert api.metadata(m1) == {"zone": "b", "rack": "1", "region": "eu"}
    assert api.metadata(lab.id["m2"]) == {}
    assert api.patch(add(m1, "disk", "hdd", op="replace"), remove(m1, "rack")).status == 204
    assert api.metadata(m1) == {"zone": "b", "disk": "hdd", "region": "eu"}


def test_operations_are_applied_in_their_order(lab, api):
    m1 = lab.id["m1"]
    assert api.patch(add(m1, "x", "1"), remove(m1, "x"), add(m1, "y", "1"), add(m1, "y", "2"),
                     remove(m1, "zone"), add(m1, "zone", "z")).status == 204
    assert api.metadata(m1) == {"zone": "z", "disk": "ssd", "y": "2"}


@pytest.mark.parametrize("members", [
    {"op": "add", "path": "x", "value": "1"}, {"Op": "add", "Path": "x", "Value": "1"},
    {"OP": "add", "PATH": "x", "VALUE": "1"}, {"op": "replace", "path": "x", "vALUE": "1"},
    {"op": "add", "path": "x", "value": {"value": "1"}},
    {"op": "add", "path": "x", "value": {"Value": "1"}},
    {"op": "add", "path": "x", "value": "1", "from": "y"}], ids=str)
def test_a_value_is_taken_in_every_spelling(lab, api, members):
    m1 = lab.id["m1"]
    operation = {name: path(m1, "x") if name.lower() == "path" else value
                 for name, value in members.items()}
    assert api.patch(operation).status == 204
    assert api.metadata(m1)["x"] == "1"


@pytest.mark.parametrize("content_type", [None, JSON, "application/json; charset=utf-8",
                                          "application/json-patch+json"])
def test_the_content_type_may_be_missing(lab, api, content_type):
    m1 = lab.id["m1"]
    assert api.patch(add(m1, "x", "1"), headers={"Content-Type": content_type}).status == 204
    assert api.metadata(m1)["x"] == "1"


def test_another_content_type_is_refused(lab, api):
    refused = api.patch(add(lab.id["m1"], "x", "1"), headers={"Content-Type": "text/plain"})
    assert refused.status == 415 and "text/plain" in refused.error
    assert "x" not in api.metadata(lab.id["m1"])


def test_a_key_that_is_not_there_can_be_removed(lab, api):
    m1 = lab.id["m1"]
    assert api.patch(remove(m1, "nothing"), {**remove(m1, "none"), "value": "x"}).status == 204
    assert api.metadata(m1) == {"zone": "a", "disk": "ssd"}
    assert api.patch().status == 204, "nothing to do"


BAD = {
    "op": {"op": "test", "path": "/M/metadata/x", "value": "1"},
    "another op": {"op": "move", "from": "/M/metadata/zone", "path": "/M/metadata/x"},
    "op in capitals": {"op": "ADD", "path": "/M/metadata/x", "value": "1"},
    "no op": {"path": "/M/metadata/x", "value": "1"},
    "no path": {"op": "add", "value": "1"},
    "path without a machine": {"op": "add", "path": "/metadata/x", "value": "1"},
    "path without a slash": {"op": "add", "path": "M/metadata/x", "value": "1"},
    "path to something else": {"op": "add", "path": "/M/primaryIP/x", "value": "1"},
    "path to all metadata": {"op": "remove", "path": "/M/metadata"},
    "path without a key": {"op": "add", "path": "/M/metadata/", "value": "1"},
    "path that goes on": {"op": "add", "path": "/M/metadata/x/y", "value": "1"},
    "key with =": {"op": "add", "path": "/M/metadata/x=y", "value": "1"},
    "empty value": {"op": "add", "path": "/M/metadata/x", "value": ""},
    "empty inner value": {"op": "replace", "path": "/M/metadata/x", "value": {"value": ""}},
    "no value": {"op": "add", "path": "/M/metadata/x"},
    "null": {"op": "replace", "path": "/M/metadata/x", "value": None},
    "number": {"op": "add", "path": "/M/metadata/x", "value": 1},
    "list": {"op": "add", "path": "/M/metadata/x", "value": ["1"]},
    "no object": "add",
}


@pytest.mark.parametrize("operation", BAD.values(), ids=BAD)
def test_nothing_of_a_patch_with_a_bad_operation_is_applied(lab, api, operation):
    m1, m2 = lab.id["m1"], lab.id["m2"]
    if "path" in operation:
        operation = {**operation, "path": operation["path"].replace("M", m1)}
    for patch in ([add(m1, "zone", "b"), add(m2, "x", "1"), operation],
                  [operation, remove(m1, "disk")]):
        refused = api.patch(*patch)
        assert refused.status == 400 and refused.error
    assert api.metadata(m1) == {"zone": "a", "disk": "ssd"} and api.metadata(m2) == {}


@pytest.mark.parametrize("body", [b"", b"[", b'{"op":"add"}', b"null", b'"add"', b"[] []"])
def test_a_patch_that_is_no_array_is_a_bad_request(api, body):
    refused = api.ask("PATCH", "machines", body)
    assert refused.status == 400 and refused.error


def test_what_is_set_decides_where_units_may_run(lab, api):
    lab.file("gpu.service", service(fleet=["MachineMetadata=gpu=yes"]))
    lab.ctl("start", "gpu", status=6)
    assert api.patch(add(lab.id["m2"], "gpu", "yes")).status == 204
    assert lab.wait_where("gpu.service") == "m2"
    assert api.patch(remove(lab.id["m2"], "gpu"), add(lab.id["m1"], "gpu", "yes")).status == 204
    assert lab.wait_where("gpu.service", lambda machine: machine == "m1") == "m1"


def test_a_machine_that_is_not_there_is_patched_for_when_it_comes(lab, api):
    m2 = lab.id["m2"]
    lab.run("m2", "systemctl", "stop", "fleet")
    wait_for(lambda: api.metadata(m2) is None, "m1 to hear that m2 has left")
    assert api.patch(add("0123456789abcdef0123456789abcdef", "x", "1")).status == 204
    assert api.patch(add(m2, "late", "yes"), add(lab.id["m1"], "x", "1")).status == 204
    assert len(api.get("machines")["machines"]) == 1
    lab.run("m2", "systemctl", "start", "fleet")
    lab.wait_members("m1", "m2")
    assert api.metadata(m2) == {"late": "yes"}


def test_what_is_set_lasts_across_leaving_a_reboot_and_a_reload(lab, api):
    m1 = lab.id["m1"]
    other = api_of(lab, "m2")
    wanted = {"zone": "b", "rack": "1"}
    assert api.patch(add(m1, "zone", "b"), add(m1, "rack", "1"), remove(m1, "disk")).status == 204
    lab.run("m1", "systemctl", "stop", "fleet")
    wait_for(lambda: other.metadata(m1) is None, "m2 to hear that m1 has left")
    lab.run("m1", "systemctl", "start", "fleet")
    lab.wait_members("m1", "m2")
    assert api.metadata(m1) == wanted and other.metadata(m1) == wanted
    lab.lab("reboot", "m1")
    lab.wait_members("m1", "m2")
    assert api.metadata(m1) == wanted
    lab.run("m1", "systemctl", "reload", "fleet")
    assert api.metadata(m1) == wanted and other.metadata(m1) == wanted
