"""Units of every type: through their states, doing their work, and gone without a trace."""
import socket

import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 5}

# name: (text, what systemd calls it when it is started)
TYPES = {
    "plain.service": ("[Service]\nExecStart=/bin/sleep 1d\n", ("active", "running")),
    "door.socket": ("[Socket]\nListenStream=/run/door.sock\nAccept=yes\n", ("active", "listening")),
    "clock.timer": ("[Timer]\nOnCalendar=yearly\nUnit=systemd-tmpfiles-clean.service\n",
                    ("active", "waiting")),
    "watch.path": ("[Path]\nPathExists=/run/never\nUnit=systemd-tmpfiles-clean.service\n",
                   ("active", "waiting")),
    "srv-my\\x2ddata.mount": ("[Mount]\nWhat=tmpfs\nWhere=/srv/my-data\nType=tmpfs\n",
                              ("active", "mounted")),
    "group.target": ("[Unit]\nDescription=a group\n", ("active", "active")),
    "app-web.slice": ("[Slice]\nTasksMax=100\n", ("active", "active")),
}
# What this kernel or systemd itself does not start. Where it does, that is well too.
UNSUPPORTED = {
    "srv-auto.automount": "[Automount]\nWhere=/srv/auto\n",
    "swapfile.swap": "[Swap]\nWhat=/swapfile\n",
    "dev-none.device": "[Unit]\nDescription=a device that udev does not know\n",
    "group.scope": "[Scope]\nTimeoutStopSec=1\n",
}


def pinned(lab, text):
    return f"{text}\n[X-Fleet]\nMachineID={lab.id['m1']}\n"


def left_over(lab, name, machine="m1"):
    """What there is of a unit on a machine: links, files, and what systemd has of it."""
    found = lab.shell(machine, "find /run/systemd/system /run/fleet/units -type l -o -type f")
    listed = lab.run(machine, "systemctl", "list-units", "--all", "--plain", "--no-legend",
                     name.replace("\\", "\\\\"))
    return found + listed


def state(lab, name):
    """What list-units says of a unit: load, active and sub state."""
    return [(unit["systemdLoadState"], unit["systemdActiveState"], unit["systemdSubState"])
            for unit in lab.list("list-units") if unit["name"] == name]


@pytest.mark.parametrize("name", TYPES)
def test_a_unit_of_each_type_goes_through_its_states_and_leaves_nothing(lab, name):
    text, started = TYPES[name]
    lab.file(name, pinned(lab, text))
    lab.ctl("submit", name)
    assert (lab.unit(name)["desiredState"], state(lab, name)) == ("inactive", [])
    for verb, desired, expected in (("load", "loaded", ("inactive", "dead")),
                                    ("start", "launched", started),
                                    ("stop", "loaded", ("inactive", "dead")),
                                    ("start", "launched", started)):
        lab.ctl(verb, name)
        assert lab.unit(name)["desiredState"] == desired
        assert state(lab, name) == [("loaded", *expected)], verb
        shown = lab.show("m1", name, "ActiveState", "SubState", "UnitFileState")
        assert shown == {"ActiveState": expected[0], "SubState": expected[1],
                         "UnitFileState": "linked-runtime"}, verb
    lab.ctl("unload", name)
    assert (lab.unit(name)["desiredState"], state(lab, name)) == ("inactive", [])
    assert left_over(lab, name) == ""
    lab.ctl("start", name)
    lab.ctl("destroy", name)
    assert left_over(lab, name) == ""


def test_a_new_text_of_each_type_is_taken_over_by_a_restart(lab):
    """(what is in the text, what comes instead, systemd's property that shows it)"""
    changes = {
        "door.socket": ("/run/door.sock", "/run/gate.sock", "Listen"),
        "clock.timer": ("yearly", "monthly", "TimersCalendar"),
        "watch.path": ("/run/never", "/run/soon", "Paths"),
        "srv-my\\x2ddata.mount": ("=tmpfs\n", "=tmpfs\nOptions=size=2M\n", "Options"),
        "group.target": ("a group", "another group", "Description"),
        "app-web.slice": ("=100", "=200", "TasksMax"),
    }
    shown = {"clock.timer": "*-*-01", "srv-my\\x2ddata.mount": "size=2048k", "app-web.slice": "200"}
    for name in changes:
        lab.file(name, pinned(lab, TYPES[name][0]))
    lab.ctl("start", *changes)
    lab.ctl("restart", *changes)
    for name, (old, new, _) in changes.items():
        lab.file(name, pinned(lab, TYPES[name][0].replace(old, new)))
    lab.ctl("start", "--replace", *changes)
    for name, (_, new, key) in changes.items():
        assert state(lab, name) == [("loaded", *TYPES[name][1])], name
        assert shown.get(name, new) in lab.show("m1", name, key)[key], name


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_systemd_does_not_start_is_told_at_once_and_can_be_destroyed(lab, name):
    lab.file(name, pinned(lab, UNSUPPORTED[name]))
    said = lab.ctl("load", name, status=None).stderr  # systemd does not even load a scope's file
    if not said:
        assert state(lab, name) == [("loaded", "inactive", "dead")]
        said = lab.ctl("start", "--timeout=20s", name, status=1).stderr
    assert name in said
    assert "unsupported" in said or "not-found" in said, "systemd's own answer"
    assert "failed" in lab.unit(name)["progress"]
    lab.ctl("destroy", name)
    assert left_over(lab, name) == ""


def test_a_connection_starts_the_service_of_a_socket(lab):
    """Only the socket is started; the service, placed with it, is loaded. It hands on to sshd."""
    lab.file("door.socket", "[Socket]\nListenStream=7007\n[X-Fleet]\nMachineOf=door.service\n")
    lab.file("door.service", service("ExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.1:22"))
    lab.ctl("load", "door.service")
    lab.ctl("start", "door.socket")
    machine = lab.where("door.socket")
    assert lab.states("door.service") == {machine: "inactive"}
    with socket.create_connection((lab.ip[machine], 7007), timeout=30) as connection:
        assert connection.recv(100).startswith(b"SSH-2.0")
    assert lab.wait_where("door.service") == machine
    assert lab.unit("door.service")["desiredState"] == "loaded"
    lab.ctl("stop", "--timeout=20s", "door.socket", "door.service")
    assert lab.states("door.socket") == lab.states("door.service") == {machine: "inactive"}


def test_a_timer_starts_its_service_and_stop_ends_both(lab):
    lab.file("tick.timer", "[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\n"
                           "[X-Fleet]\nMachineOf=tick.service\n")
    lab.file("tick.service")
    lab.ctl("load", "tick.service")
    lab.ctl("start", "tick.timer")
    machine = lab.wait_where("tick.service")
    assert lab.is_active(machine, "tick.service")
    assert lab.unit("tick.service")["desiredState"] == "loaded"
    lab.ctl("stop", "--timeout=20s", "tick.timer", "tick.service")
    assert lab.states("tick.timer") == lab.states("tick.service") == {machine: "inactive"}


def test_a_path_starts_its_service_when_the_file_appears(lab):
    lab.file("drop.path", "[Path]\nPathExists=/run/drop\n[X-Fleet]\nMachineOf=drop.service\n")
    lab.file("drop.service", service("ExecStartPre=/bin/rm /run/drop"))
    lab.ctl("load", "drop.service")
    lab.ctl("start", "drop.path")
    machine = lab.where("drop.path")
    assert lab.states("drop.service") == {machine: "inactive"}
    lab.shell(machine, "touch /run/drop")
    assert lab.wait_where("drop.service") == machine


def test_a_mount_and_what_needs_it(lab):
    name = "srv-my\\x2ddata.mount"
    lab.file(name, TYPES[name][0])
    lab.file("writer.service", "[Unit]\nRequiresMountsFor=/srv/my-data\n" + service(
        "ExecStart=/bin/sh -c 'touch /srv/my-data/written && exec sleep 1d'",
        fleet=[f"MachineOf={name}"]))
    lab.ctl("load", name)
    machine = lab.start("writer.service", (lab.files / "writer.service").read_text())
    wait_for(lambda: "written" in lab.shell(machine, "ls /srv/my-data"), "the service to write")
    assert lab.run(machine, "findmnt", "-no", "FSTYPE", "/srv/my-data") == "tmpfs\n"
    lab.ctl("stop", "--timeout=20s", name)
    assert not lab.is_active(machine, "writer.service"), "systemd stops what needs the mount"
    lab.ctl("destroy", name, "writer")
    assert "my-data" not in lab.shell(machine, "cat /proc/mounts")


def test_a_target_starts_the_services_that_it_wants(lab):
    follow = ["MachineOf=all.target"]
    lab.file("all.target", "[Unit]\nWants=one.service two.service\nAfter=one.service two.service\n")
    names = [lab.file(f"{name}.service", service(fleet=follow)) for name in ("one", "two")]
    lab.ctl("load", "all.target", *names)
    lab.ctl("start", "all.target")
    machine = lab.where("all.target")
    for name in names:
        assert lab.wait_where(name) == machine


def test_a_service_runs_in_the_slice_that_it_is_placed_with(lab):
    lab.file("app-web.slice", TYPES["app-web.slice"][0])
    lab.file("inside.service", service("Slice=app-web.slice", fleet=["MachineOf=app-web.slice"]))
    lab.ctl("start", "app-web.slice", "inside.service")
    machine = lab.where("inside.service")
    assert lab.where("app-web.slice") == machine
    assert lab.show(machine, "inside.service", "ControlGroup")["ControlGroup"] == (
        "/app.slice/app-web.slice/inside.service")


def test_a_path_without_its_service_is_told_with_systemds_words(lab):
    lab.file("lonely.path", "[Path]\nPathExists=/run/never\n")
    assert "lonely.service" in lab.ctl("start", "lonely.path", status=1).stderr
