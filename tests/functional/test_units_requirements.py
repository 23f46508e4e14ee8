"""[X-Fleet]: how its keys are written, and what several of them mean together."""
import pytest
from cluster import service, wait_for
from http_client import api_of

LAB = {"machines": 3, "ttl": 5, "metadata": [
    "m1:zone=a,disk=ssd,room=east wing", "m2:zone=b,disk=ssd", "m3:zone=b,disk=hdd"]}


def refused(lab, name, *lines, status=6):
    """Starts a unit that cannot be placed, or not be stored; returns what fleetctl said."""
    lab.file(name, service(fleet=lines))
    return lab.ctl("start", name, status=status).stderr


def on(lab, machine):
    return f"MachineID={lab.id[machine]}"


# --- old spellings, booleans, resets ----------------------------------------------------------


@pytest.mark.parametrize("key", ["X-ConditionMachineID", "X-ConditionMachineBootID"])
def test_the_old_spellings_of_machine_id(lab, key):
    last = lab.machines[-1]
    assert lab.start("old.service", service(fleet=[f"{key}={lab.id[last]}"])) == last
    assert "MachineID" in refused(lab, "nobody.service", f"{key}={32 * '0'}")


def test_the_old_spelling_of_machine_of(lab):
    machine = lab.start("leader.service")
    names = [lab.file(f"f{i}.service", service(fleet=["X-ConditionMachineOf=leader.service"]))
             for i in range(3)]
    lab.ctl("start", *names)
    assert [lab.where(name) for name in names] == 3 * [machine]
    said = refused(lab, "leader2.service", "X-ConditionMachineOf=leader2.service", status=1)
    assert "leader2.service -> leader2.service" in said


def test_booleans_in_any_case(lab):
    yes = ["true", "yes", "1", "on", "t", "TRUE", "Yes", "oN", "T"]
    no = ["false", "no", "0", "off", "f", "FALSE", "No", ""]
    for word in yes + no:
        lab.file(f"w-{word or 'empty'}.service", service(fleet=[f"Global={word}"]))
    lab.ctl("submit", *(f"w-{word or 'empty'}.service" for word in yes + no))
    units = lab.units()
    assert [word for word in yes + no if units[f"w-{word or 'empty'}.service"].get("global")] == yes


def test_an_empty_assignment_takes_back_what_stands_before_it(lab):
    lab.start("here.service", service(fleet=[on(lab, "m1")]))
    assert lab.start("reset.service", service(fleet=[
        "MachineID=none", "MachineID=", "MachineOf=nowhere.service", "X-ConditionMachineOf=",
        "MachineMetadata=zone=none", "MachineMetadata=", "Conflicts=here.*", "X-Conflicts=",
        "Global=true", "Global=", "Replaces=here.service", "Replaces=", on(lab, "m1"),
        "MachineOf=here.service", "MachineMetadata=zone=a"])) == "m1"


def test_the_last_machine_id_counts(lab):
    assert lab.start("last.service", service(fleet=["MachineID=none", on(lab, "m1")])) == "m1"


# --- unknown keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("key, meant", [
    ("Conflict", "Conflicts"), ("machineof", "MachineOf"), ("GLOBAL", "Global"),
    ("Replace", "Replaces"), ("X-ConditionMachineMetdata", "MachineMetadata")])
def test_an_unknown_key_is_refused_with_the_one_that_is_meant(lab, key, meant):
    said = refused(lab, "typo.service", f"{key}=x", status=1)
    assert f'"{key}"' in said and f'did you mean "{meant}"' in said
    assert lab.units() == {}


def test_a_unit_with_an_unknown_key_that_is_stored_is_read_by_everyone(lab):
    """`--force` stores it with a warning; who starts it later does not care."""
    lab.file("newer.service", service(fleet=["OfTomorrow=yes", on(lab, "m1")]))
    warned = lab.ctl("submit", "--force", "newer").stderr
    assert "OfTomorrow" in warned and "newer.service" in warned
    (lab.files / "newer.service").unlink()
    assert lab.ctl("start", "newer").stderr == ""
    assert lab.where("newer.service") == "m1"


# --- metadata ----------------------------------------------------------------------------------


@pytest.mark.machines(3)
@pytest.mark.parametrize("lines, allowed", [
    (['MachineMetadata="zone=a" "zone=b"', "MachineMetadata=disk=ssd"], {"m1", "m2"}),
    (['MachineMetadata="zone=b" \'disk=hdd\' "disk=ssd"'], {"m2", "m3"}),
    (['MachineMetadata="room=east wing"'], {"m1"}),
    (["MachineMetadata=room=east wing"], {"m1"}),
    (["MachineMetadata=zone=a", 'X-ConditionMachineMetadata="zone=b" "disk=hdd"'], {"m3"}),
], ids=["or and and", "several quoted", "blank in quotes", "blank", "old and new"])
def test_metadata_of_one_key_are_alternatives_and_all_keys_must_hold(lab, lines, allowed):
    names = [lab.file(f"meta{i}.service", service(fleet=lines)) for i in range(3)]
    lab.ctl("start", *names)
    assert {lab.where(name) for name in names} == allowed


def test_several_pairs_on_a_line_that_are_not_quoted_are_refused_with_how_to_write_them(lab):
    said = refused(lab, "pairs.service", "MachineMetadata=zone=a disk=ssd", status=1)
    assert '"zone=a" "disk=ssd"' in said


# --- Conflicts ---------------------------------------------------------------------------------


GLOBS = {
    "alpha-1.service": True, "alpha-1": False, "alpha": False, "*": True, "alpha-*": True,
    "*1*": True, "*.socket": False, "alpha-?.service": True, "alpha-??.service": False,
    "[a-c]lpha-*": True, "[b-z]*": False, "[^a]*": False, "[^b]lpha*": True,
    "alpha-[0-9].service": True, "\\alpha-1.service": True, "alpha-\\1.*": True,
    "alpha\\-1.service": True, "ALPHA*": False, "beta* alpha*": True, '"alpha-1.service"': True,
}


def test_globs_are_for_the_whole_name(lab):
    """alpha-1 is there, and both may run on m1 only."""
    lab.start("alpha-1.service", service(fleet=[on(lab, "m1")]))
    for glob, matches in GLOBS.items():
        lab.file("b.service", service(fleet=[on(lab, "m1"), f"Conflicts={glob}"]))
        done = lab.ctl("start", "b", status=None)
        assert done.returncode == (6 if matches else 0), (glob, done.stderr)
        assert ("alpha-1.service" in done.stderr) is matches, glob
        lab.ctl("destroy", "b")


@pytest.mark.parametrize("glob", ["a[b", "[z-a]*"])
def test_a_glob_that_is_none_is_refused(lab, glob):
    said = refused(lab, "glob.service", f"Conflicts=ok* {glob}", status=1)
    assert "Conflicts=" in said and lab.units() == {}


def test_a_backslash_of_a_name_is_escaped_in_a_glob(lab):
    lab.start("a\\x2db.service", service(fleet=[on(lab, "m1")]))
    assert lab.start("plain.service", service(fleet=[on(lab, "m1"),
                                                     "Conflicts=a\\x2db.service"])) == "m1"
    assert "a\\x2db.service" in refused(lab, "escaped.service", on(lab, "m1"),
                                        "Conflicts=a\\\\x2db.service")


def test_conflicts_on_several_lines_all_hold(lab):
    for i in (1, 2, 3):
        lab.start(f"n{i}.service", service(fleet=[on(lab, "m1")]))
        lab.file("many.service", service(fleet=[on(lab, "m1"), "Conflicts=n1.service n2.*",
                                                "X-Conflicts=n3.*"]))
        assert f"n{i}.service" in lab.ctl("start", "many", status=6).stderr
        lab.ctl("destroy", f"n{i}", "many")


def test_a_unit_that_is_only_loaded_conflicts_too_and_an_inactive_one_does_not(lab):
    lab.file("first.service", service(fleet=[on(lab, "m1")]))
    lab.ctl("load", "first")
    assert "first.service" in refused(lab, "second.service", on(lab, "m1"),
                                      "Conflicts=first.service")
    lab.ctl("unload", "first")
    assert lab.wait_where("second.service") == "m1"
    assert "second.service" in lab.ctl("start", "first", status=6).stderr


@pytest.mark.machines(3)
def test_a_unit_that_conflicts_with_a_global_one_is_nowhere(lab):
    lab.file("every.service", service(fleet=["Global=true", "MachineMetadata=disk=ssd"]))
    lab.ctl("start", "every")
    wait_for(lambda: lab.active("every.service") == ["m1", "m2"], "the global unit")
    assert lab.start("shy.service", service(fleet=["Conflicts=every.*"])) == "m3"
    assert "every.service" in refused(lab, "shier.service", "Conflicts=every.*",
                                      "MachineMetadata=disk=ssd")


@pytest.mark.machines(3)
def test_a_global_unit_goes_round_a_unit_that_names_it(lab):
    lab.start("shy.service", service(fleet=["Conflicts=every.*", on(lab, "m2")]))
    lab.file("every.service", service(fleet=["Global=true"]))
    lab.ctl("start", "every")
    wait_for(lambda: lab.active("every.service") == ["m1", "m3"],
             lambda: lab.states("every.service"))
    lab.ctl("destroy", "shy")
    wait_for(lambda: lab.active("every.service") == ["m1", "m2", "m3"], "it on m2 too")


@pytest.mark.machines(3)
def test_a_global_unit_with_metadata_and_conflicts(lab):
    lab.start("shy.service", service(fleet=[on(lab, "m2")]))
    lab.file("both.service", service(fleet=["Global=true", "MachineMetadata=disk=ssd",
                                            "Conflicts=shy.service"]))
    lab.ctl("start", "both")
    wait_for(lambda: lab.active("both.service") == ["m1"], lambda: lab.states("both.service"))
    assert lab.local_units("m3") == []


@pytest.mark.machines(2)
def test_a_global_unit_comes_and_goes_with_the_metadata(lab):
    path = f"/{lab.id['m2']}/metadata/role"
    lab.file("every.service", service(fleet=["Global=true", "MachineMetadata=role=db"]))
    lab.ctl("start", "every")
    assert lab.states("every.service") == {}
    assert api_of(lab).patch({"op": "add", "path": path, "value": "db"}).status == 204
    wait_for(lambda: lab.active("every.service") == ["m2"], "it on m2")
    assert api_of(lab).patch({"op": "remove", "path": path}).status == 204
    wait_for(lambda: lab.states("every.service") == {}, "it to go")
    assert lab.local_units("m2") == []


@pytest.mark.parametrize("keys", [["Global=true", "X-ConditionMachineID=x"],
                                  ["Global=1", "X-ConditionMachineOf=x.service"],
                                  ["Replaces=x", "Conflicts=y"], ["Replaces=x", "X-Conflicts=y"]])
def test_keys_that_exclude_each_other_are_refused(lab, keys):
    said = refused(lab, "both.service", *keys, status=1)
    assert all(key.split("=")[0].replace("X-", "").replace("Condition", "") in said for key in keys)
    assert lab.units() == {}
