"""Where the HTTP API is served: sockets that systemd passes, and addresses of its own."""
import json

import pytest
from cluster import wait_for
from http_client import api_of, configured, restart, said, serves, unix_api_of, write

LAB = {"machines": 1, "ttl": 3}
pytestmark = pytest.mark.etcd
SOCKET = "/run/fleet.sock"
DROP_IN = "/run/systemd/system/fleet.socket.d/test.conf"


def restart_sockets(lab):
    lab.shell("m1", "systemctl daemon-reload; systemctl stop fleet.service fleet.socket; "
                    "systemctl start fleet.socket fleet.service")
    lab.wait_members("m1")


def inside(lab, url):
    """The status of a GET that is made in the machine; 0 if nothing answers."""
    return int(lab.run("m1", "curl", "-s", "-g", "-o", "/dev/null", "-w", "%{http_code}", url,
                       status=None))


def test_the_unix_socket_serves_the_same_api(lab):
    api = unix_api_of(lab)
    assert api.put("a.service").status == 201
    assert list(api_of(lab).units()) == ["a.service"]
    assert inside(lab, "http://127.0.0.1:49153/fleet/v1/units/a.service") == 200
    machines = lab.run("m1", "curl", "-s", "--unix-socket", f"/var{SOCKET}",
                       "http://fleet/fleet/v1/machines")
    assert json.loads(machines) == api.get("machines")
    assert api.ask("DELETE", "units/a.service").status == 204
    assert api.ask("POST", "units", {}).status == 405


def test_the_group_fleet_and_nobody_else_may_use_the_unix_socket(lab):
    assert lab.run("m1", "stat", "-c", "%a %U %G %F", SOCKET).strip() == "660 root fleet socket"
    curl = f"curl -s --unix-socket {SOCKET} http://fleet/fleet/v1/machines"
    assert lab.id["m1"] in lab.shell(
        "m1", f"setpriv --reuid=nobody --regid=nogroup --groups=fleet {curl}")
    lab.shell("m1", f"setpriv --reuid=nobody --regid=nogroup --clear-groups {curl}", status=7)


def test_every_socket_that_systemd_passes_is_served(lab):
    write(lab, DROP_IN, "[Socket]\nListenStream=49200\nListenStream=127.0.0.1:49201\n"
                        "ListenStream=/run/fleet-too.sock\n")
    restart_sockets(lab)
    try:
        apis = [api_of(lab, port=49200), unix_api_of(lab), api_of(lab),
                unix_api_of(lab, path="/run/fleet-too.sock")]
        for number, api in enumerate(apis):
            assert api.put(f"u{number}.service").status == 201
        assert inside(lab, "http://127.0.0.1:49201/readyz") == 200
        assert inside(lab, "http://[::1]:49200/readyz") == 200
        for api in apis:
            assert list(api.units()) == [f"u{number}.service" for number in range(4)]
        with apis[0].connect() as connection:
            for _ in range(3):
                assert connection.ask("GET", "/fleet/v1/units").status == 200
    finally:
        lab.run("m1", "rm", DROP_IN)
        restart_sockets(lab)
    assert not serves(apis[0])


def test_a_request_to_the_socket_starts_fleetd(lab):
    """systemd holds the socket while fleetd is away: a program waits and is answered."""
    lab.run("m1", "systemctl", "stop", "--job-mode=ignore-dependencies", "fleet.service")
    assert not lab.is_active("m1", "fleet.service") and lab.is_active("m1", "fleet.socket")
    assert unix_api_of(lab).ask("GET", "/healthz").status == 200
    wait_for(lambda: serves(unix_api_of(lab)), "fleetd to join")


def test_addresses_of_its_own_are_served_beside_the_socket(lab):
    line = 'listen=["0.0.0.0:49153", "127.0.0.1:49210", "[::1]:49211", "localhost:49212"]'
    with configured(lab, line) as unix:
        assert [inside(lab, f"http://{address}/readyz")
                for address in ("127.0.0.1:49210", "[::1]:49211", "127.0.0.1:49212")] == [200] * 3
        assert serves(unix) and serves(api_of(lab))
        assert not serves(api_of(lab, port=49210)), "that one is for the machine itself"
    assert inside(lab, "http://127.0.0.1:49210/readyz") == 0


def test_an_address_on_loopback_needs_no_certificate_and_no_leave(lab):
    with configured(lab, "listen=127.0.0.1:49210", "listen_insecure=false"):
        assert inside(lab, "http://127.0.0.1:49210/readyz") == 200
        assert not serves(api_of(lab)), "the other address is not listened at"
        assert "open to other machines" not in said(lab)


@pytest.mark.parametrize("address", ["0.0.0.0:49153", "[::]:49153"])
def test_an_address_that_is_open_to_others_is_refused_without_leave(lab, address):
    lines = f'listen="{address}"\nlisten_insecure=false\n'
    write(lab, "/run/refused.conf", lines)
    done = lab.shell("m1", "fleetd --config /run/refused.conf 2>&1", status=1)
    assert "/run/refused.conf:1" in done and "listen_insecure" in done


def test_listening_insecurely_is_warned_of_at_each_start(lab):
    for _ in range(2):
        wait_for(lambda: any("listen_insecure" in line and "0.0.0.0:49153" in line
                             for line in said(lab, priority="warning").splitlines()),
                 lambda: f"a warning in\n{said(lab)}")
        restart(lab)


def test_an_address_that_is_taken_is_told(lab):
    write(lab, "/run/taken.conf", "listen=127.0.0.1:22\nstate_directory=/run/taken\n")
    done = lab.shell("m1", "mkdir -p /run/taken; fleetd --config /run/taken.conf 2>&1", status=1)
    assert "127.0.0.1:22" in done and "in use" in done
