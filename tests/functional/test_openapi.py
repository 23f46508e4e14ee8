"""/openapi.yaml of a real server against that server."""
import re

import pytest
from cluster import wait_for
from http_client import JSON, api_of

yaml = pytest.importorskip("yaml")

LAB = {"machines": 1, "ttl": 3}
STREAM = "text/event-stream"
# Where a query decides on the type of the answer.
QUERIES = {("/fleet/v1/events", STREAM): "?follow=true",
           ("/fleet/v1/units/{unitName}/explain", JSON): "?machines=true"}


@pytest.fixture(name="api")
def openapi_api(lab):
    return api_of(lab)


def document_of(api):
    answer = api.ask("GET", "/openapi.yaml")
    assert answer.status == 200 and answer.headers["content-type"] == "application/yaml", answer
    return yaml.safe_load(answer.body)


def operations(document):
    return [(path, method.upper(), operation) for path, methods in document["paths"].items()
            for method, operation in methods.items()]


def filled(path, lab, unit):
    there = {"unitName": unit, "machineID": lab.id["m1"]}
    return re.sub(r"\{(\w+)\}", lambda name: there[name[1]], path)


def wrong(value, schema, schemas, where="answer"):
    """What is not as the schema has it, a list; a member that it does not name is wrong, too."""
    if "$ref" in schema:
        return wrong(value, schemas[schema["$ref"].rsplit("/", 1)[1]], schemas, where)
    kind = {"object": dict, "array": list, "string": str, "integer": int,
            "boolean": bool}[schema["type"]]
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
        return [f"{where} is no {schema['type']}: {value!r}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{where} is none of {schema['enum']}: {value!r}"]
    if kind is list:
        return [found for number, element in enumerate(value)
                for found in wrong(element, schema["items"], schemas, f"{where}[{number}]")]
    if kind is not dict:
        return []
    found = [f"{where} has no {name}" for name in schema.get("required", ()) if name not in value]
    for name, member in value.items():
        its = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        found += wrong(member, its, schemas, f"{where}.{name}") if its else [
            f"{where}.{name} is not documented"]
    return found


def begin(lab, api):
    """A unit of which everything may be read: it runs, has had a rollout, and one waits."""
    lab.start("a.service")
    assert api.ask("POST", "units/a.service/rollout", {"restart": True}).status == 200
    wait_for(lambda: api.get("rollouts/a.service")["state"] == "done", "the rollout to end")
    waits = "[Service]\nExecStart=/bin/true\n[X-Fleet]\nMachineMetadata=zone=nowhere\n"
    assert api.put("waits.service", "launched", content=waits).status == 201


def test_whatever_may_be_read_is_as_the_document_says(lab, api):
    begin(lab, api)
    document = document_of(api)
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        if method != "GET":
            continue
        documented = operation["responses"]["200"]
        for kind, content in documented["content"].items():
            for unit in ("a.service", "waits.service"):
                if unit != "a.service" and path != "/fleet/v1/units/{unitName}":
                    continue
                target = filled(path, lab, unit) + QUERIES.get((path, kind), "")
                head = api.ask("HEAD", target)
                assert head.status == 200, (target, head)
                assert head.headers["content-type"].split(";")[0] == kind, (target, head)
                assert ("etag" in head.headers) == ("ETag" in documented.get("headers", {})), target
                if kind == JSON and "schema" in content:
                    entity = api.get(target)
                    assert wrong(entity, content["schema"], schemas) == [], (target, entity)


def test_each_method_of_the_document_is_served_and_refuses_what_is_no_body(lab, api):
    for path, method, operation in operations(document_of(api)):
        if method == "GET":
            continue
        target = filled(path, lab, "none.service")
        headers = {parameter["name"]: parameter["schema"]["enum"][0]
                   for parameter in operation.get("parameters", ())
                   if parameter["in"] == "header" and parameter.get("required")}
        if "requestBody" in operation:
            for body in (b"[1]", b"7", b"null", b"{"):
                answer = api.ask(method, target, body, headers)
                allowed = (400, 404) if body == b"{" else (400,)  # what is not there comes first
                assert answer.status in allowed, (target, answer)
        elif "machineID" not in path:
            answer = api.ask(method, target, headers=headers)
            assert answer.status in (400, 404), (target, answer)
            assert "nothing is served" not in answer.error, (target, answer)
    assert api.get("units") == {"units": []}


def test_a_journal_that_cannot_be_read_to_its_end_is_not_told_as_complete(lab, api):
    lab.start("a.service")
    program = lab.shell("m1", "command -v journalctl").strip()
    lab.shell("m1", f"mount -o bind /bin/false {program}")
    try:
        with api.connect() as connection:
            connection.send(b"GET /fleet/v1/units/a.service/journal HTTP/1.0\r\n\r\n")
            connection.closed()
            assert b"event: failed\n" in connection.input, connection.input
            assert b"exit status 1" in connection.input, connection.input
            assert b"event: end\n" not in connection.input, connection.input
        done = lab.ctl("logs", "a.service", status=None)
        assert done.returncode == 1 and "exit status 1" in done.stderr, done
    finally:
        lab.shell("m1", f"umount {program}")
    lab.ctl("logs", "a.service")
