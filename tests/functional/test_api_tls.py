"""The HTTP API on addresses with TLS: who is let in, and certificates that are renewed."""
import ssl

import pytest
from cluster import wait_for
from http_client import (PORT, Api, api_of, client_tls, configured, fleetd_pid, make_authority,
                         make_certificate, reload, serves, unix_api_of, write)

LAB = {"machines": 1, "ttl": 3}
pytestmark = pytest.mark.etcd
FOLDER = "/etc/fleet/tls"


def install(lab, folder, name, to="server", authority="ca"):
    """Puts a server's certificate, its key and the clients' authority into the machine."""
    write(lab, f"{FOLDER}/ca.pem", (folder / f"{authority}.pem").read_text())
    for suffix in ("pem", "key"):
        write(lab, f"{FOLDER}/{to}.{suffix}", (folder / f"{name}.{suffix}").read_text())


def lines(server="server"):
    return (f"listen_cafile={FOLDER}/ca.pem", f"listen_certfile={FOLDER}/{server}.pem",
            f"listen_keyfile={FOLDER}/{server}.key", "listen_insecure=false")


@pytest.fixture(name="certificates")
def authorities(lab, tmp_path):
    """A folder with two authorities and certificates of both, some installed in the machine."""
    for authority in ("ca", "other"):
        make_authority(tmp_path, authority)
    make_certificate(tmp_path, "server", lab.ip["m1"])
    make_certificate(tmp_path, "renewed", lab.ip["m1"])
    make_certificate(tmp_path, "client")
    make_certificate(tmp_path, "stranger", authority="other")
    install(lab, tmp_path, "server")
    return tmp_path


def secure_api(lab, folder, certificate="client"):
    return Api((lab.ip["m1"], PORT), client_tls(folder, certificate))


def served_certificate(lab, folder):
    """The certificate that a new connection is shown, in PEM."""
    with secure_api(lab, folder).connect() as connection:
        return ssl.DER_cert_to_PEM_cert(connection.socket.getpeercert(binary_form=True))


def pem(folder, name):
    return (folder / f"{name}.pem").read_text()


def test_only_clients_with_a_certificate_of_the_authority_are_served(lab, certificates):
    with configured(lab, *lines()) as unix:
        api = secure_api(lab, certificates)
        assert api.put("a.service").status == 201
        assert list(api.units()) == list(unix.units()) == ["a.service"]
        with api.connect() as connection:
            assert connection.socket.version() in ("TLSv1.2", "TLSv1.3")
            for _ in range(3):
                assert connection.ask("GET", "/fleet/v1/machines").status == 200
            assert connection.ask("GET", "/fleet/v1/none").status == 404

        for certificate in (None, "stranger"):
            refused = secure_api(lab, certificates, certificate)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                refused.ask("DELETE", "units/a.service")
        with pytest.raises(ConnectionError):
            api_of(lab).ask("DELETE", "units/a.service")
        with pytest.raises(ssl.SSLCertVerificationError):
            Api((lab.ip["m1"], PORT), client_tls(certificates, "client", "other")).get("units")
        assert list(api.units()) == ["a.service"], "none of them could change anything"


def test_fleetctl_uses_its_certificate(lab, certificates):
    files = {f"FLEETCTL_{flag}_FILE": str(certificates / name) for flag, name in
             (("CA", "ca.pem"), ("CERT", "client.pem"), ("KEY", "client.key"))}
    secure = {"FLEETCTL_ENDPOINT": f"https://{lab.ip['m1']}:{PORT}", **files}
    with configured(lab, *lines()):
        listed = lab.ctl("list-machines", "--full", env=secure)
        assert lab.id["m1"] in listed.stdout
        flags = [f"--{name}-file={certificates / file}" for name, file in
                 (("ca", "ca.pem"), ("cert", "stranger.pem"), ("key", "stranger.key"))]
        assert lab.id["m1"] not in lab.ctl(*flags, "list-machines", "--full", status=None,
                                           env=secure).stdout


@pytest.mark.parametrize("missing", ["listen_keyfile", "listen_certfile", "listen_cafile"])
def test_a_set_of_tls_files_that_is_not_whole_is_refused(lab, certificates, missing):
    assert certificates
    given = [line for line in lines() if not line.startswith(missing)]
    write(lab, "/run/tls.conf", "\n".join(["listen=0.0.0.0:49220", *given]) + "\n")
    said = lab.shell("m1", "fleetd --check-config --config /run/tls.conf 2>&1", status=1)
    assert missing in said


def test_a_renewed_certificate_is_served_after_a_reload(lab, certificates):
    with configured(lab, *lines()):
        api, pid = secure_api(lab, certificates), fleetd_pid(lab)
        created = api.put("a.service", "launched")
        assert created.status == 201
        wait_for(lambda: api.get("units/a.service")["currentState"] == "launched", "it to run")
        run = lab.show("m1", "a.service")
        with api.connect() as old:
            assert served_certificate(lab, certificates) == pem(certificates, "server")
            install(lab, certificates, "renewed")
            assert served_certificate(lab, certificates) == pem(certificates, "server")
            reload(lab)
            wait_for(lambda: served_certificate(lab, certificates) == pem(certificates, "renewed"),
                     "the renewed certificate")
            assert old.ask("GET", "/fleet/v1/units").status == 200, "it goes on"
        assert fleetd_pid(lab) == pid and lab.show("m1", "a.service") == run


def test_a_renewed_authority_decides_after_a_reload_who_is_let_in(lab, certificates):
    with configured(lab, *lines()):
        assert serves(secure_api(lab, certificates))
        write(lab, f"{FOLDER}/ca.pem", pem(certificates, "other"))
        reload(lab)
        wait_for(lambda: serves(secure_api(lab, certificates, "stranger")), "the other's clients")
        assert not serves(secure_api(lab, certificates))


def test_a_certificate_that_cannot_be_read_leaves_the_former_one_in_use(lab, certificates):
    with configured(lab, *lines()) as unix:
        write(lab, f"{FOLDER}/server.pem", "no certificate\n")
        reload(lab)
        wait_for(lambda: f"{FOLDER}/server.pem" in lab.journal("m1"), "the mistake to be told")
        assert served_certificate(lab, certificates) == pem(certificates, "server")
        assert serves(unix)


def test_other_tls_files_in_the_configuration_are_used_after_a_reload(lab, certificates):
    with configured(lab, *lines()):
        install(lab, certificates, "renewed", to="renewed")
        lab.shell("m1", "sed -i s/server.pem/renewed.pem/\\;s/server.key/renewed.key/ "
                        "/etc/fleet/fleet.conf")
        reload(lab)
        wait_for(lambda: served_certificate(lab, certificates) == pem(certificates, "renewed"),
                 "the certificate of the other files", 10)


def test_a_client_that_begins_no_tls_holds_up_nobody(lab, certificates):
    with configured(lab, *lines()):
        api = secure_api(lab, certificates)
        with api_of(lab).connect() as silent, api_of(lab).connect() as partial:
            partial.send(b"\x16\x03\x01")
            assert silent and serves(api) and serves(unix_api_of(lab))
