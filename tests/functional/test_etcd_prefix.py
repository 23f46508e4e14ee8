"""Key prefixes: several clusters in one etcd."""
from cluster import service, wait_for


def test_clusters_with_different_prefixes_in_one_etcd_do_not_see_each_other(new_lab):
    lab = new_lab(machines=2)
    lab.run("m2", "systemctl", "stop", "fleet")
    # fleet 1.0's default, and without its slashes.
    lab.shell("m2", "echo etcd_key_prefix=_coreos.com/fleet >> /etc/fleet/fleet.conf && "
                    "systemctl start fleet")
    for machine in lab.machines:
        lab.wait_members(machine, at=machine)
        lab.file("same.service", service(f"Environment=ON={machine}"))
        lab.ctl("start", "same", at=machine)
    for machine in lab.machines:
        assert lab.active("same.service", at=machine) == [machine]
        assert f"ON={machine}" in lab.ctl("cat", "same", at=machine).stdout
        assert lab.show(machine, "same.service", "Environment")["Environment"] == f"ON={machine}"
    assert {key.rsplit("/machines/")[0] for key in lab.keys("/") if "/machines/" in key} == {
        "/fleet", "/_coreos.com/fleet"}
    lab.ctl("destroy", "same", at="m2")
    assert lab.where("same.service", at="m1") == "m1" and lab.is_active("m1", "same.service")
    lab.lab("crash", "m2")
    wait_for(lambda: not lab.keys("/_coreos.com/fleet/machines/"), "m2's lease to end")
    assert lab.members(at="m1") == {"m1"}
