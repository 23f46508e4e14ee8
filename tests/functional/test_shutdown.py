"""Going down: what runs on a machine moves before the machine reboots, not when it is missed."""
from cluster import service, wait_for

TICKS = ("ExecStart=/bin/sh -c 'while :; do date +%%s.%%N >> /var/tmp/%n.ticks; sleep 0.05; done'",)


def ticks(lab, machine, unit):
    out = lab.shell(machine, f"cat /var/tmp/{unit}.ticks 2>/dev/null || true")
    return [float(line) for line in out.split()]


def test_fleetd_delays_a_shutdown(new_lab):
    lab = new_lab(machines=2)
    wait_for(lambda: "fleet" in lab.run("m1", "systemd-inhibit", "--list", "--no-pager"),
             lambda: lab.run("m1", "systemd-inhibit", "--list", "--no-pager"))
    line = next(line for line in lab.run("m1", "systemd-inhibit", "--list", "--no-pager",
                                         "--no-legend").splitlines() if "fleet" in line)
    assert "shutdown" in line and line.split()[-1] == "delay"


def test_a_reboot_moves_the_units_before_the_machine_goes_down(new_lab):
    lab = new_lab(ttl=20)  # what a machine that is missed would cost
    lab.file("one.service", service(*TICKS))
    lab.ctl("start", "one")
    first = lab.where("one.service")
    lab.lab("reboot", first)
    other = lab.wait_where("one.service", lambda machine: machine != first)
    last = ticks(lab, first, "one.service")[-1]
    pause = ticks(lab, other, "one.service")[0] - last
    assert 0 < pause < 3, f"{pause} s"
    lab.wait_members(*lab.machines)
    # It went by the notice of logind, while everything still worked, not by the stop of its service.
    said = lab.run(first, "journalctl", "--no-pager", "-b", "-1", "-u", "fleet", status=None)
    assert "this machine goes down; its units are stopped and may move" in said


def test_a_shutdown_does_not_wait_when_nothing_can_be_told(new_lab):
    lab = new_lab(machines=2)
    lab.file("one.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    lab.ctl("start", "one")
    lab.lab("partition", "m2", "--from", "etcd")
    lab.lab("reboot", "m2")
    lab.lab("heal", "m2")
    lab.wait_members("m1", "m2")
    assert lab.wait_where("one.service") == "m2"
