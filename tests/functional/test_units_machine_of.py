"""MachineOf: units that stay together, whatever happens to the one they follow."""
import pytest
from cluster import service, wait_for

LAB = {"machines": 3, "ttl": 5}
pytestmark = pytest.mark.machines(3)


def on(lab, machine):
    return f"MachineID={lab.id[machine]}"


def follow(*names):
    return service(fleet=[f"MachineOf={name}" for name in names])


def move(lab, name):
    """Gives a unit a text that may run on another machine only; returns that machine."""
    old = lab.where(name)
    new = next(machine for machine in lab.machines if machine != old)
    lab.file(name, service(fleet=[on(lab, new)]))
    lab.ctl("start", "--replace", name)
    assert lab.where(name) == new
    return new


def test_a_chain_is_started_in_one_command(lab):
    names = [lab.file("a.service", follow("b.service")), lab.file("b.service", follow("c.service")),
             lab.file("c.service", follow("d.service")), lab.file("d.service")]
    lab.ctl("start", *names)
    assert len({lab.where(name) for name in names}) == 1
    assert lab.where("a.service")


def test_a_chain_follows_a_move(lab):
    lab.start("head.service")
    for name, leader in (("second.service", "head.service"), ("third.service", "second.service")):
        lab.start(name, follow(leader))
    new = move(lab, "head.service")
    for name in ("second.service", "third.service"):
        assert lab.wait_where(name, lambda machine: machine == new) == new
    for machine in lab.machines:
        running = [name for name in ("head.service", "second.service", "third.service")
                   if lab.is_active(machine, name)]
        assert running == (["head.service", "second.service", "third.service"]
                           if machine == new else [])


def test_a_unit_that_follows_several_is_where_all_of_them_are(lab):
    lab.start("one.service", service(fleet=[on(lab, "m1")]))
    lab.start("two.service", service(fleet=[on(lab, "m2")]))
    lab.file("both.service", follow("one.service", "two.service"))
    said = lab.ctl("start", "both", status=6).stderr
    assert "one.service" in said and "two.service" in said
    lab.file("two.service", service(fleet=[on(lab, "m1")]))
    lab.ctl("start", "--replace", "two")
    assert lab.wait_where("both.service") == "m1"
    lab.file("line.service", service(fleet=["MachineOf=one.service two.service"]))
    lab.ctl("start", "line")
    assert lab.where("line.service") == "m1"


def test_a_unit_runs_where_the_other_is_only_loaded(lab):
    lab.file("leader.service")
    lab.ctl("load", "leader")
    machine = lab.start("follower.service", follow("leader.service"))
    assert lab.states("leader.service") == {machine: "inactive"}
    lab.ctl("start", "leader")
    lab.ctl("stop", "leader")
    assert lab.where("follower.service") == machine


@pytest.mark.parametrize("verb", ["unload", "destroy"])
def test_a_unit_waits_when_the_other_is_nowhere_any_more(lab, verb):
    lab.start("leader.service")
    lab.start("follower.service", follow("leader.service"))
    lab.ctl(verb, "leader")
    wait_for(lambda: lab.states("follower.service") == {}, lambda: lab.states("follower.service"))
    assert "leader.service" in lab.unit("follower.service")["reason"]
    assert [machine for machine in lab.machines if lab.local_units(machine)] == []
    machine = lab.start("leader.service")
    assert lab.wait_where("follower.service") == machine


def test_a_unit_that_conflicts_with_what_it_follows_is_nowhere(lab):
    lab.start("leader.service")
    lab.file("torn.service", service(fleet=["MachineOf=leader.service", "Conflicts=leader.*"]))
    said = lab.ctl("start", "torn", status=6).stderr
    assert "MachineOf leader.service" in said and "conflicts with leader.service" in said


def test_companions_of_other_types_follow_too(lab):
    machine = lab.start("app.service")
    follower = "[X-Fleet]\nMachineOf=app.service\n"
    names = [lab.file("app.socket", "[Socket]\nListenStream=7008\n" + follower),
             lab.file("app.timer", "[Timer]\nOnCalendar=yearly\n" + follower),
             lab.file("app.path", "[Path]\nPathExists=/run/never\n" + follower),
             lab.file("app.target", "[Unit]\nAfter=app.service\n" + follower)]
    lab.ctl("stop", "app")  # a socket does not listen while its service runs
    lab.ctl("start", *names)
    assert [lab.where(name) for name in names] == len(names) * [machine]


def test_a_circle_of_three_is_refused_with_the_circle_printed(lab):
    for name, leader in (("hen", "egg"), ("egg", "nest"), ("nest", "hen")):
        lab.file(f"{name}.service", follow(f"{leader}.service"))
    lab.ctl("submit", "hen")
    lab.ctl("submit", "egg")
    said = lab.ctl("submit", "nest", status=1).stderr
    assert "nest.service -> hen.service -> egg.service -> nest.service" in said
    assert sorted(lab.units()) == ["egg.service", "hen.service"]
    said = lab.ctl("submit", "hen", "egg", "nest", status=1).stderr
    assert "nest.service -> hen.service -> egg.service -> nest.service" in said


def test_a_circle_through_a_new_text_is_refused_and_the_old_one_runs_on(lab):
    machine = lab.start("leader.service")
    lab.start("follower.service", follow("leader.service"))
    before = lab.show(machine, "leader.service")
    lab.file("leader.service", follow("follower.service"))
    said = lab.ctl("start", "--replace", "leader", status=1).stderr
    assert "leader.service -> follower.service -> leader.service" in said
    assert lab.show(machine, "leader.service") == before
    assert "MachineOf" not in lab.ctl("cat", "leader").stdout


def test_a_unit_cannot_follow_itself_a_template_or_what_is_no_unit(lab):
    for leader, said in (("own.service", "own.service -> own.service"),
                         ("web@.service", "template"), ("db", "did you mean db.service?"),
                         ("a/b.service", "a/b.service")):
        lab.file("own.service", follow(leader))
        assert said in lab.ctl("submit", "own", status=1).stderr
    assert lab.units() == {}
