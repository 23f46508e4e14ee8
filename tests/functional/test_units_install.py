"""[Install]: a unit is enabled when it is loaded, and nothing of that stays when it is unloaded."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 2, "ttl": 5}


def pin(lab):
    return [f"MachineID={lab.id['m1']}"]


def links(lab, machine="m1"):
    """The links below /run/systemd/system, by name, and where they lead."""
    found = lab.shell(machine, "cd /run/systemd/system && find . -type l -printf '%P %l\\n'")
    return dict(line.split(" ") for line in found.splitlines())


def states(lab, *names, machine="m1"):
    return [lab.run(machine, "systemctl", "is-enabled", name, status=None).strip()
            for name in names]


@pytest.mark.parametrize("verb", ["unload", "destroy"])
def test_each_key_makes_its_link_at_load_and_it_goes_with_the_unit(lab, verb):
    lab.file("all.service", service(fleet=pin(lab), install=[
        "WantedBy=multi-user.target first.target", "WantedBy=second.target",
        "RequiredBy=third.target", "Alias=other-name.service"]))
    lab.ctl("load", "all")
    assert sorted(links(lab)) == [
        "all.service", "first.target.wants/all.service", "multi-user.target.wants/all.service",
        "other-name.service", "second.target.wants/all.service",
        "third.target.requires/all.service"]
    assert states(lab, "all.service") == ["enabled-runtime"]
    assert "all.service" in lab.show("m1", "multi-user.target", "Wants")["Wants"]
    lab.ctl("start", "all")
    lab.ctl(verb, "all")
    assert links(lab) == {}
    assert "all.service" not in lab.show("m1", "multi-user.target", "Wants")["Wants"]


def test_submit_enables_nothing(lab):
    lab.file("later.service", service(fleet=pin(lab), install=["WantedBy=multi-user.target"]))
    lab.ctl("submit", "later")
    assert links(lab) == {}


def test_also_enables_what_is_loaded_too(lab):
    lab.file("tick.service", service(fleet=pin(lab), install=["Also=tick.timer"]))
    lab.file("tick.timer", "[Timer]\nOnCalendar=yearly\n[Install]\nWantedBy=timers.target\n"
                           "[X-Fleet]\nMachineOf=tick.service\n")
    lab.ctl("load", "tick.service", "tick.timer")
    assert "timers.target.wants/tick.timer" in links(lab)
    assert states(lab, "tick.timer") == ["enabled-runtime"]


def test_also_of_a_unit_that_is_nowhere_is_no_hindrance(lab):
    lab.start("alone.service", service(fleet=pin(lab), install=[
        "WantedBy=multi-user.target", "Also=nowhere.timer"]))
    assert states(lab, "alone.service") == ["enabled-runtime"]
    lab.ctl("destroy", "alone")
    assert links(lab) == {}


@pytest.mark.parametrize("verb", ["unload", "destroy"])
def test_also_of_one_unit_leaves_the_other_alone_when_it_goes(lab, verb):
    lab.file("one.service", service(fleet=pin(lab), install=["WantedBy=a.target",
                                                             "Also=two.service"]))
    lab.file("two.service", service(fleet=pin(lab), install=["WantedBy=a.target"]))
    lab.ctl("start", "one", "two")
    lab.ctl(verb, "one")
    text = "/run/fleet/units/two.service"
    assert links(lab) == {"two.service": text, "a.target.wants/two.service": text}
    lab.ctl("restart", "two")
    assert lab.is_active("m1", "two.service")


def test_instances_are_enabled_each_for_itself(lab):
    lab.file("web@.service", service(fleet=pin(lab), install=["WantedBy=web-%i.target"]))
    lab.ctl("submit", "web@.service")
    lab.ctl("start", "web@a", "web@b")
    assert "web-a.target.wants/web@a.service" in links(lab)
    lab.ctl("destroy", "web@a")
    assert sorted(links(lab)) == ["web-b.target.wants/web@b.service", "web@b.service"]
    lab.ctl("destroy", "web@*.service")
    assert links(lab) == {}


def test_a_global_unit_is_enabled_on_every_machine(lab):
    lab.file("every.service", service(fleet=["Global=true"], install=["WantedBy=a.target"]))
    lab.ctl("start", "every")
    wait_for(lambda: lab.active("every.service") == lab.machines, "the global unit")
    for machine in lab.machines:
        assert states(lab, "every.service", machine=machine) == ["enabled-runtime"]
    lab.ctl("destroy", "every")
    wait_for(lambda: [links(lab, machine) for machine in lab.machines] == [
        {} for _ in lab.machines], "the links to go")


def test_a_replaced_text_has_its_own_links_only(lab):
    lab.start("turn.service", service(fleet=pin(lab), install=["WantedBy=a.target",
                                                               "Alias=old-name.service"]))
    lab.file("turn.service", service("Environment=V=2", fleet=pin(lab),
                                     install=["RequiredBy=b.target"]))
    lab.ctl("start", "--replace", "turn")
    assert sorted(links(lab)) == ["b.target.requires/turn.service", "turn.service"]
    lab.file("turn.service", service("Environment=V=3", fleet=pin(lab)))
    lab.ctl("start", "--replace", "turn")
    assert list(links(lab)) == ["turn.service"]
    assert states(lab, "turn.service") == ["linked-runtime"]


def test_an_install_section_that_systemd_refuses_is_told_and_leaves_nothing(lab):
    lab.file("bad.service", service(fleet=pin(lab), install=["WantedBy=a.target",
                                                             "Alias=wrong.timer"]))
    lab.file("good.service", service(fleet=pin(lab), install=["WantedBy=a.target"]))
    done = lab.ctl("start", "bad", "good", status=1)
    assert "bad.service" in done.stderr and "wrong.timer" in done.stderr
    assert "Unit good.service launched on" in done.stdout
    lab.ctl("destroy", "bad")
    assert sorted(links(lab)) == ["a.target.wants/good.service", "good.service"]


def test_a_machine_that_reboots_enables_its_units_again(lab):
    lab.start("back.service", service(fleet=pin(lab), install=["WantedBy=multi-user.target"]))
    lab.file("waits.service", service(fleet=pin(lab), install=["WantedBy=a.target"]))
    lab.ctl("load", "waits")
    before = links(lab)
    lab.lab("reboot", "m1")
    lab.wait_members(*lab.machines)
    wait_for(lambda: links(lab) == before, lambda: links(lab))
    assert lab.wait_where("back.service") == "m1"
    wait_for(lambda: lab.states("waits.service") == {"m1": "inactive"},
             lambda: lab.states("waits.service"))
