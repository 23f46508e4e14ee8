"""Templates, their instances, and specifiers in [X-Fleet]."""
import pytest
from cluster import service
from http_client import api_of

LAB = {"machines": 2, "ttl": 5}


def value(lab, name):
    """V of the Environment= that the stored text of a unit has."""
    return lab.ctl("cat", name).stdout.split("Environment=V=")[1].split("\n")[0]


def test_an_instance_takes_its_own_file_then_the_registry_then_the_template_beside(lab):
    def write(name, content):
        lab.file(name, service(f"Environment=V={content}"))
    write("web@.service", "beside")
    write("web@own.service", "own")
    lab.ctl("start", "web@1", "web@own")
    assert (value(lab, "web@1"), value(lab, "web@own")) == ("beside", "own")
    lab.ctl("destroy", "web@*.service")
    write("web@.service", "registry")
    lab.ctl("submit", "web@.service")
    write("web@.service", "beside")
    lab.ctl("start", "web@1", "web@own")
    assert (value(lab, "web@1"), value(lab, "web@own")) == ("registry", "own")


def test_the_template_in_the_directory_of_a_named_file_is_found(lab):
    folder = lab.files / "units"
    folder.mkdir(exist_ok=True)
    (folder / "far@.service").write_text(service("Environment=V=far"))
    lab.ctl("start", "units/far@1.service")
    assert value(lab, "far@1") == "far"
    lab.ctl("start", "far@2.service", status=4)


def test_the_instance_is_what_systemd_makes_of_it(lab):
    """Characters that systemd escapes, an @ within, and a template of another type."""
    pin = f"MachineID={lab.id['m1']}"
    text = service("ExecStart=/bin/sh -c 'sleep 1d' '%n' '%p' '%i' '%I'", fleet=[pin])
    names = ["odd@a:b_c.d.service", "odd@var-log\\x2d1.service", "odd@x@y.service", "odd@..service"]
    lab.file("odd@.service", text)
    lab.ctl("submit", "odd@.service")
    lab.ctl("start", *names)
    for name in names:
        instance = name.removeprefix("odd@").removesuffix(".service")
        words = lab.show("m1", name, "ExecStart")["ExecStart"]
        assert f"sleep 1d {name} odd {instance} " in words.replace("\\\\", "\\"), words
    assert " var/log-1 " in lab.show("m1", names[1], "ExecStart")["ExecStart"]
    lab.file("tick@.timer", f"[Timer]\nOnCalendar=yearly\nUnit=odd@%i.service\n[X-Fleet]\n{pin}\n")
    lab.ctl("start", "tick@x@y.timer")
    assert lab.show("m1", "tick@x@y.timer", "Unit")["Unit"] == "odd@x@y.service"


@pytest.mark.parametrize("suffix", ["service", "socket", "timer", "path", "target"])
def test_templates_of_these_types_can_be_submitted_and_never_run(lab, suffix):
    lab.file(f"t@.{suffix}", "[Unit]\nDescription=a template\n")
    lab.ctl("submit", f"t@.{suffix}")
    for verb in ("load", "start"):
        assert "template" in lab.ctl(verb, f"t@.{suffix}", status=1).stderr
    assert lab.unit(f"t@.{suffix}")["desiredState"] == "inactive"


@pytest.mark.parametrize("suffix", ["mount", "automount", "swap", "slice", "device", "scope"])
def test_templates_of_these_types_are_refused(lab, suffix):
    lab.file(f"t@.{suffix}", "[Unit]\nDescription=a template\n")
    assert "template" in lab.ctl("submit", f"t@.{suffix}", status=1).stderr
    assert lab.units() == {}


# Each specifier, and what it stands for in the name below.
NAME = "my-web\\x2dapp@var-log\\x2d1.service"
SPECIFIERS = {
    "n": NAME,
    "N": "my-web\\x2dapp@var-log\\x2d1",
    "p": "my-web\\x2dapp",
    "i": "var-log\\x2d1",
    "j": "web\\x2dapp",
    "P": "my/web-app",
    "I": "var/log-1",
    "J": "web-app",
    "%": "%",
}


def set_metadata(lab, machine, changes):
    """Sets metadata at run time; a value of None removes the key."""
    operations = [{"op": "remove" if text is None else "add", "value": text,
                   "path": f"/{lab.id[machine]}/metadata/{key}"} for key, text in changes.items()]
    assert api_of(lab).patch(*operations).status == 204


def test_every_specifier_of_the_name_is_expanded(lab):
    """The machine's metadata have what each specifier should stand for; all of them must hold."""
    keys = {f"s{number}": letter for number, letter in enumerate(SPECIFIERS)}
    set_metadata(lab, "m1", {key: SPECIFIERS[letter] for key, letter in keys.items()})
    try:
        lines = [f"MachineMetadata={key}=%{letter}" for key, letter in keys.items()]
        assert lab.start(NAME, service(fleet=lines)) == "m1"
        lab.file("other@1.service", service(fleet=lines))
        assert "s0=other@1.service" in lab.ctl("start", "other@1", status=6).stderr
    finally:
        set_metadata(lab, "m1", dict.fromkeys(keys))


def test_a_specifier_of_the_host_is_refused_with_its_reason(lab):
    keys = ("MachineOf", "Conflicts", "MachineMetadata=a", "MachineID", "Replaces")
    texts = ("%H", "%m", "%b", "%v", "%h", "%u", "%U", "%t", "%l")
    for key, text in [*((key, "%H") for key in keys), *(("MachineOf", text) for text in texts)]:
        lab.file("host.service", service(fleet=[f"{key}={text}"]))
        said = lab.ctl("submit", "host", status=1).stderr
        assert f"{key}={text}: " in said and "depends on the machine" in said, key
    assert lab.units() == {}


def test_host_specifiers_outside_of_fleets_section_are_systemds(lab):
    lab.start("free.service", service("Environment=HOST=%H"))
    machine = lab.where("free.service")
    assert lab.show(machine, "free.service", "Environment")["Environment"] == f"HOST={machine}"


def test_specifiers_do_not_make_globs(lab):
    """A name with characters of globs stands for itself."""
    pin = f"MachineID={lab.id['m1']}"
    name = "a\\x2db.service"
    lab.start(name, service(fleet=[pin, "Conflicts=%p-*"]))
    assert lab.start("ax2db-1.service", service(fleet=[pin])) == "m1"
    lab.file("a\\x2db-1.service", service(fleet=[pin]))
    assert name in lab.ctl("start", "a\\x2db-1.service", status=6).stderr
