"""An etcd that speaks TLS only and asks each client for a certificate."""
import subprocess

from cluster import service
from registry_help import configured, main_pid, wait_told

LAB = {"machines": 2, "ttl": 3, "etcd": "1", "up": ["--etcd-tls"]}


def stranger(lab):
    """A certificate that nobody has signed."""
    certificate, key = lab.files / "stranger.pem", lab.files / "stranger-key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=stranger",
                    "-out", certificate, "-keyout", key], check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


def put(path, text):
    return f"cat > {path} <<'END'\n{text}END\n"


def test_a_cluster_with_client_certificates_does_its_work(lab):
    assert lab.env["ETCDCTL_ENDPOINTS"].startswith("https://")
    for machine in lab.machines:
        name = f"on-{machine}.service"
        assert lab.start(name, service(fleet=[f"MachineID={lab.id[machine]}"])) == machine
    assert sorted(key.rsplit("/", 1)[-1] for key in lab.keys("/fleet/units/")) == [
        "on-m1.service", "on-m2.service"]


def test_an_authority_that_did_not_sign_etcds_certificate_is_told_and_replaced_by_a_reload(lab):
    lab.start("runs.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    before = lab.show("m2", "runs.service")
    authority = lab.shell("m2", "cat /etc/fleet/etcd-ca.pem")
    with configured(lab, "m2", "true\n" + put("etcd-ca.pem", stranger(lab)[0]) + "true"):
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "certificate", "etcd_cafile")
        pid = main_pid(lab, "m2")
        lab.shell("m2", put("/etc/fleet/etcd-ca.pem", authority) + "systemctl reload fleet")
        lab.wait_members("m1", "m2", at="m2")
        assert main_pid(lab, "m2") == pid
    assert lab.show("m2", "runs.service") == before


def test_a_client_certificate_that_etcd_does_not_accept_is_told(lab):
    certificate, key = stranger(lab)
    with configured(lab, "m2", "true\n" + put("etcd-client.pem", certificate)
                    + put("etcd-client-key.pem", key) + "true"):
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "client certificate")


def test_certificates_that_are_configured_later_are_used_after_a_reload(lab):
    with configured(lab, "m2", "cp fleet.conf /root/full && "
                               "sed -i '/etcd_certfile/d; /etcd_keyfile/d' fleet.conf"):
        wait_told(lab, "m2", lab.env["ETCDCTL_ENDPOINTS"], "client certificate")
        pid = main_pid(lab, "m2")
        lab.shell("m2", "cp /root/full /etc/fleet/fleet.conf && systemctl reload fleet")
        lab.wait_members("m1", "m2", at="m2")
        assert main_pid(lab, "m2") == pid


def test_a_certificate_file_that_is_missing_is_named(lab):
    lab.shell("m2", "mv /etc/fleet/etcd-client.pem /root/")
    try:
        said = lab.shell("m2", "fleetd --check-config 2>&1", status=None)
        assert "etcd_certfile" in said and "/etc/fleet/etcd-client.pem" in said
    finally:
        lab.shell("m2", "mv /root/etcd-client.pem /etc/fleet/")
    lab.run("m2", "fleetd", "--check-config")
