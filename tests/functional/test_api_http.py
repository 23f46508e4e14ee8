"""The HTTP API as HTTP/1.1: methods, errors, connections, and clients that do not behave."""
import contextlib
import json
import re
import select
import socket

import pytest
from cluster import wait_for
from http_client import JSON, UNIT, api_of, request

LAB = {"machines": 1, "ttl": 3}
pytestmark = pytest.mark.etcd  # once: the registry makes no difference
PATHS = ("units", "units/a.service", "state", "machines", "discovery")
DELETE, GET, HEAD, OPTIONS, PATCH, PUT = "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "PUT"
METHODS = {"units": {GET}, "units/a.service": {GET, PUT, DELETE}, "state": {GET},
           "machines": {GET, PATCH}, "discovery": {GET}}
GET_MACHINES = request("GET", "/fleet/v1/machines")


@pytest.fixture(name="api")
def http_api(lab):
    return api_of(lab)


def put_of(name, value="/bin/sleep 1d", **headers):
    body = {"desiredState": "inactive", "options": [{**UNIT, "value": value}]}
    return request("PUT", f"/fleet/v1/units/{name}", body, headers)


def serves_others(api):
    return bool(api.get("machines")["machines"])


# --- Clients that never finish. They are begun first and looked at last, so that nothing waits. ---


UNFINISHED = {
    "one byte": b"G",
    "request line": b"GET /fleet/v1/machines HTTP/1.1\r\n",
    "head": b"GET /fleet/v1/machines HTTP/1.1\r\nHost: fleet\r\nX-Slow: ",
    "second request": GET_MACHINES + b"GET /fleet",
}
UNFINISHED_BODIES = {
    "body": put_of("slow.service")[:-10],
    "chunked body": b"PUT /fleet/v1/units/slow.service HTTP/1.1\r\nHost: fleet\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
}


@pytest.fixture(scope="module", name="unfinished")
def unfinished_clients():
    """{name: Connection}; filled by whoever has the lab."""
    connections = {}
    yield connections
    for connection in connections.values():
        connection.close()


def begin(api, unfinished, what):
    for name, data in what.items():
        if name not in unfinished:
            unfinished[name] = api.connect(timeout=120)
            unfinished[name].send(data)


def test_others_are_served_while_clients_send_no_more(api, unfinished):
    begin(api, unfinished, {**UNFINISHED, **UNFINISHED_BODIES})
    for _ in range(10):
        assert serves_others(api)
    assert api.put("a.service").status == 201
    assert unfinished["second request"].read().status == 200


# --- Methods and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_is_told_the_right_ones(api, path):
    allowed = METHODS[path] | {HEAD, OPTIONS}
    for method in {GET, HEAD, PUT, DELETE, PATCH, "POST", "TRACE", "PROPFIND"} - allowed:
        refused = api.ask(method, path, {} if method in (PUT, PATCH, "POST") else None)
        assert refused.status == 405 and method in refused.error
        assert set(refused.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", PATHS)
def test_options_tells_the_methods(api, path):
    answer = api.ask("OPTIONS", path)
    assert answer.status == 204 and answer.headers["content-type"] == JSON
    assert set(answer.headers["allow"].split(", ")) == METHODS[path] | {HEAD, OPTIONS}


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_the_body(api, path):
    api.put("a.service")
    with api.connect() as connection:
        head = connection.ask("HEAD", f"/fleet/v1/{path}")
        get = connection.ask("GET", f"/fleet/v1/{path}")
        assert (head.status, head.body) == (200, b"")
        assert get.status == 200 and len(get.body) == int(head.headers["content-length"])
        assert head.headers == get.headers


def test_head_of_what_is_not_there_is_its_error_without_the_body(api):
    with api.connect() as connection:
        assert connection.ask("HEAD", "/fleet/v1/units/none.service").status == 404
        assert connection.ask("GET", "/fleet/v1/machines").status == 200, "still in step"


@pytest.mark.parametrize("path", ["/fleet/v1/none", "/fleet/v1", "/fleet/v2/units", "/units",
                                  "/fleet/v1/units/a.service/b", "/fleet/v1/machinesx",
                                  "/fleet/v1//units", "/fleet/v1/../v1/units"])
def test_an_unknown_path_is_not_found(api, path):
    for method, body in ((GET, None), (PUT, {}), (DELETE, None), ("POST", {})):
        answer = api.ask(method, path, body)
        assert answer.status == 404 and answer.error


@pytest.mark.parametrize("path, method", [("units/a.service", PUT), ("machines", PATCH)])
@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data",
                                          "application/x-www-form-urlencoded", "json"])
def test_another_content_type_is_unsupported(api, path, method, content_type):
    answer = api.ask(method, path, {"desiredState": "inactive", "options": [UNIT]},
                     {"Content-Type": content_type})
    assert answer.status == 415 and content_type in answer.error
    assert api.units() == {}


@pytest.mark.parametrize("content_type", [None, JSON, "Application/JSON;charset=UTF-8"])
def test_json_or_no_content_type_is_taken(api, content_type):
    answer = api.ask("PUT", "units/a.service", {"desiredState": "inactive", "options": [UNIT]},
                     {"Content-Type": content_type})
    assert answer.status == 201


@pytest.mark.parametrize("path, method", [("units/a.service", PUT), ("machines", PATCH)])
def test_a_body_over_a_mebibyte_is_too_large(api, path, method):
    body = b'"' + b"x" * (1 << 20) + b'"'
    for announced in (True, False):
        with api.connect() as connection:
            head = {"Expect": "100-continue"} if announced else {}
            sent = request(method, f"/fleet/v1/{path}", body, head)
            connection.send(sent[:sent.index(b"\r\n\r\n") + 4] if announced else sent)
            answer = connection.read()
            assert answer.status == 413 and answer.error
            assert connection.closed()
    assert serves_others(api) and api.units() == {}


def test_a_batch_may_be_larger_but_not_above_64_mebibytes(api):
    changes = [{"name": f"u{number}.service", "desiredState": "inactive", "content":
                "[Service]\nExecStart=/bin/true\n#" + "x" * 500_000} for number in range(5)]
    answer = api.ask("POST", "batch", {"changes": changes})
    assert answer.status == 200, answer
    assert [result["code"] for result in answer.json["results"]] == [201] * 5
    with api.connect() as connection:
        connection.send(request("POST", "/fleet/v1/batch",
                                headers={"Content-Length": str((64 << 20) + 1)}))
        answer = connection.read()
        assert answer.status == 413 and answer.error


def test_a_chunked_body_over_a_mebibyte_is_too_large(api):
    with api.connect() as connection:
        connection.send(b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nHost: fleet\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(17):
                connection.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        answer = connection.read()
        assert answer.status == 413 and answer.error
    assert serves_others(api)


@pytest.mark.parametrize("data", [
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: fleet\r\n\r\n",
    b"GET /fleet/v1/units HTTP/1.1\r\nX-Large: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /fleet/v1/units HTTP/1.1\r\n" + b"X-Many: x\r\n" * 10_000 + b"\r\n",
], ids=["address", "header", "many headers"])
def test_a_large_head_is_refused(api, data):
    with api.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.send(data)
        answer = connection.read()
        assert answer.status == 431 and answer.error
        assert connection.closed()
    assert serves_others(api)


@pytest.mark.parametrize("data", [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),  # TLS
    b"GET\r\n\r\n",
    b"GET /fleet/v1/units\r\n\r\n",
    b"GET /fleet/v1/units HTTP/9.9\r\n\r\n",
    b"GET /fleet/v1/units FTP/1.1\r\n\r\n",
    b"G@T /fleet/v1/units HTTP/1.1\r\n\r\n",
    b"GET /fleet/v1/un\0its HTTP/1.1\r\n\r\n",
    b"GET /fleet/v1/units HTTP/1.1\r\nno colon\r\n\r\n",
    b"GET /fleet/v1/units HTTP/1.1\r\nBad Name: x\r\n\r\n",
    b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nContent-Length: 2x\r\n\r\n{}",
    b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nContent-Length: 2\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
], ids=lambda data: repr(data[:60]))
def test_what_is_not_http_is_a_bad_request(api, data):
    with api.connect() as connection:
        connection.send(data)
        answer = connection.read()
        assert answer.status == 400 and answer.error
        assert connection.closed()
    assert serves_others(api)


@pytest.mark.parametrize("body", [b"[" * 900_000, b"[" * 450_000 + b"]" * 450_000,
                                  b'{"options":[{"section":' * 40_000 + b"1" + b"}]}" * 40_000],
                         ids=["open", "arrays", "objects"])
def test_json_that_is_nested_deeply_is_a_bad_request(api, body):
    for method, path in ((PUT, "units/a.service"), (PATCH, "machines")):
        answer = api.ask(method, path, body)
        assert answer.status == 400 and len(answer.error) < 1000
    assert serves_others(api)


@pytest.mark.parametrize("path", ["/fleet/v1/units/%zz.service", "/fleet/v1/units?view=%2",
                                  "/fleet/v1/units/a%00.service", "/fleet/v1/units?limit=x"])
def test_a_bad_address_is_a_bad_request(api, path):
    answer = api.ask("GET", path)
    assert answer.status == 400 and answer.error


# --- The discovery document -----------------------------------------------------------------------


def test_the_discovery_document_lists_exactly_what_is_served(lab, api):
    api.put("a.service")
    document = api.get("discovery")
    assert document["name"] == "fleet" and document["version"] == "v1"
    assert document["servicePath"] == "fleet/v1/" and document["basePath"] == "/fleet/v1/"
    methods = [method for resource in document["resources"].values()
               for method in resource["methods"].values()]
    assert {method["id"] for method in methods} >= {
        "fleet.Machines.List", "fleet.Units.List", "fleet.Units.Get", "fleet.Units.Set",
        "fleet.Units.Delete", "fleet.UnitState.List"}, "those of fleet 1.0"

    by_path = {}
    for method in methods:
        by_path.setdefault(method["path"], set()).add(method["httpMethod"])
        required = [name for name, parameter in method["parameters"].items()
                    if parameter["location"] == "path"]
        assert all("{" + name + "}" in method["path"] for name in required)
        for schema in (method.get("request"), method.get("response")):
            assert schema is None or schema["$ref"] in document["schemas"]
    assert {"units", "units/{unitName}", "state", "machines", "discovery"} <= set(by_path)
    there = {"unitName": "a.service", "machineID": lab.id["m1"]}
    for pattern, listed in by_path.items():
        path = re.sub(r"\{(\w+)\}", lambda name: there.get(name[1], "none"), pattern)
        options = api.ask("OPTIONS", path)
        assert options.status == 204, path
        assert set(options.headers["allow"].split(", ")) - {HEAD, OPTIONS} == listed
        if GET in listed:
            # Below a thing that is there, there may be nothing yet: a journal, a rollout.
            assert api.ask(HEAD, path).status in ({200, 404, 409} if "{" in pattern else {200}), path
    assert api.ask(HEAD, "units/a.service").status == 200
    assert lab.units()


def test_the_schemas_of_the_discovery_document_name_each_member(lab, api):
    lab.start("a.service")
    schemas = api.get("discovery")["schemas"]
    for path, member, schema in (("units", "units", "Unit"), ("state", "states", "UnitState"),
                                 ("machines", "machines", "Machine")):
        for entity in api.get(path)[member]:
            assert set(entity) <= set(schemas[schema]["properties"]), schema
            required = {name for name, value in schemas[schema]["properties"].items()
                        if value.get("required")}
            assert required <= set(entity), schema


# --- Connections ----------------------------------------------------------------------------------


def test_a_connection_serves_many_requests(api):
    with api.connect() as connection:
        for number in range(50):
            assert connection.ask("GET", "/fleet/v1/units").status == 200
            name = f"/fleet/v1/units/u{number % 5}.service"
            body = {"desiredState": "inactive", "options": [UNIT]}
            assert connection.ask("PUT", name, body).status in (201, 204)
            assert connection.ask("GET", "/fleet/v1/none").status == 404
            assert connection.ask("POST", "/fleet/v1/units", {}).status == 405


@pytest.mark.parametrize("data, version", [
    (request("GET", "/fleet/v1/machines", headers={"Connection": "close"}), "1.1"),
    (b"GET /fleet/v1/machines HTTP/1.0\r\n\r\n", "1.0")])
def test_a_connection_ends_when_the_client_wants_it(api, data, version):
    with api.connect() as connection:
        connection.send(data)
        answer = connection.read()
        assert answer.status == 200, version
        assert answer.headers.get("connection") == "close" or version == "1.0"
        assert connection.closed() and connection.input == b""


def test_pipelined_requests_are_answered_in_their_order(api):
    requests, codes = [], []
    for number in range(20):
        requests += [put_of(f"u{number}.service"), GET_MACHINES,
                     request("GET", f"/fleet/v1/units/u{number}.service"),
                     request("HEAD", "/fleet/v1/units"),
                     request("DELETE", f"/fleet/v1/units/u{number}.service"),
                     request("GET", f"/fleet/v1/units/u{number}.service")]
        codes += [201, 200, 200, 200, 204, 404]
    with api.connect() as connection:
        connection.send(b"".join(requests))
        answers = [connection.read(head=data.startswith(b"HEAD")) for data in requests]
    assert [answer.status for answer in answers] == codes
    assert [answer.json["name"] for answer in answers[2::6]] == [
        f"u{number}.service" for number in range(20)]


def test_a_client_that_says_no_more_still_gets_its_answer(api):
    """As `printf … | nc` does."""
    for data, code in ((GET_MACHINES, 200), (put_of("a.service"), 201)):
        with api.connect() as connection:
            connection.send(data)
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.read().status == code
            assert connection.closed()


def test_a_chunked_body_is_taken(api):
    body = json.dumps({"desiredState": "inactive", "options": [UNIT]}).encode()
    chunks = [body[i:i + 7] for i in range(0, len(body), 7)]
    data = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    with api.connect() as connection:
        connection.send(b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nHost: fleet\r\n"
                        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.send(data + b"0\r\nX-Trailer: x\r\n\r\n" + GET_MACHINES)
        assert connection.read().status == 201
        assert connection.read().status == 200, "the next request begins where it ends"
    assert api.get("units/a.service")["options"] == [UNIT]


def test_a_client_that_waits_for_continue_is_told_to_go_on(api):
    sent = put_of("a.service", Expect="100-continue")
    end = sent.index(b"\r\n\r\n") + 4
    with api.connect() as connection:
        connection.send(sent[:end])
        while b"\r\n\r\n" not in connection.input:
            connection.input += connection.socket.recv(1024)
        assert connection.input == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.input = b""
        connection.send(sent[end:])
        assert connection.read().status == 201


def test_a_request_that_comes_byte_by_byte_is_answered(api):
    with api.connect() as connection:
        for number, data in enumerate((put_of("a.service"), GET_MACHINES)):
            for position in range(len(data)):
                connection.send(data[position:position + 1])
                if position % 50 == 0:
                    assert serves_others(api)
            assert connection.read().status == (201, 200)[number]


def test_many_connections_are_served_at_once(api):
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(api.connect()) for _ in range(300)]
        for round_ in range(3):
            for connection in connections:
                connection.send(GET_MACHINES)
            for connection in reversed(connections):
                assert connection.read().status == 200, round_


def descriptors(lab):
    """How many file descriptors fleetd has open."""
    return int(lab.shell("m1", "ls /proc/$(pidof fleetd)/fd | wc -l"))


def test_a_client_that_goes_away_leaves_nothing(lab, api):
    for _ in range(3):
        assert serves_others(api)
    before = descriptors(lab)
    put = put_of("gone.service")
    large = request("GET", "/fleet/v1/units")
    for number in range(20):
        api.put(f"u{number}.service", content="[Service]\nExecStart=/bin/true\n#" + "x" * 200_000)
    for data in (b"", b"GET /fl", put[:60], put[:-5], GET_MACHINES, GET_MACHINES * 100, large * 20):
        for _ in range(5):
            connection = api.connect()
            connection.send(data)
            connection.close()
    assert serves_others(api)
    wait_for(lambda: descriptors(lab) <= before, lambda: f"{descriptors(lab)} open, were {before}")
    assert "gone.service" not in api.units(), "half of a request does nothing"


def test_a_client_that_does_not_read_holds_up_nobody(api):
    for number in range(20):
        api.put(f"u{number}.service", content="[Service]\nExecStart=/bin/true\n#" + "x" * 200_000)
    with api.connect() as idle:
        idle.send(request("GET", "/fleet/v1/units") * 50)
        for _ in range(10):
            assert serves_others(api)
        assert select.select([idle.socket], [], [], 60)[0]
        assert idle.read().status == 200


# --- The end of the clients that never finish -----------------------------------------------------


def ended(connection):
    """Waits until the server has ended the connection; what it may say before is 408."""
    assert connection.closed()
    return connection.input == b"" or connection.input.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_never_ends_its_head_is_disconnected(api, unfinished):
    begin(api, unfinished, UNFINISHED)
    for name in UNFINISHED:
        if name == "second request" and not unfinished[name].input:
            with contextlib.suppress(ConnectionError):
                unfinished[name].read()
                unfinished[name].input = b""
        assert ended(unfinished[name]), name


@pytest.mark.long
def test_a_client_that_never_ends_its_body_is_disconnected_and_changes_nothing(api, unfinished):
    begin(api, unfinished, UNFINISHED_BODIES)
    for name in UNFINISHED_BODIES:
        assert ended(unfinished[name]), name
    assert api.units() == {}
