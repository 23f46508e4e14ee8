"""Several units in one command: names, globs, files, partial failure, and the exit status."""
import pytest
from cluster import service

LAB = {"machines": 2, "ttl": 5}
pytestmark = pytest.mark.machines(2)

WEB = ["web@1.service", "web@2.service", "web@3.service"]


@pytest.fixture
def web(lab):
    """Three instances that run, and a unit that globs should not take."""
    lab.file("web@.service")
    lab.file("webby.service")
    lab.ctl("start", *WEB, "webby.service")
    (lab.files / "web@.service").unlink()
    (lab.files / "webby.service").unlink()


def said(done):
    """Lines without the machine."""
    return sorted(line.split(" on ")[0] for line in done.stdout.splitlines())


@pytest.mark.parametrize("words", [["web@1", "web@2.service", "web@3"], ["web@*"],
                                   ["web@[12].service", "web@3"], ["web@?.service", "web@*.service"],
                                   ["web@1", "web@1", "web@[^1]*"]],
                         ids=["names", "glob", "both", "two globs", "twice"])
def test_each_verb_takes_names_and_globs(lab, web, words):
    """In the order given; what is named twice is acted on once."""
    assert said(lab.ctl("stop", *words)) == [f"Unit {name} loaded" for name in WEB]
    assert said(lab.ctl("start", *words)) == [f"Unit {name} launched" for name in WEB]
    assert said(lab.ctl("restart", *words)) == [f"Unit {name} launched" for name in WEB]
    assert said(lab.ctl("unload", *words)) == [f"Unit {name} inactive" for name in WEB]
    assert said(lab.ctl("load", *words)) == [f"Unit {name} loaded" for name in WEB]
    assert said(lab.ctl("destroy", *words)) == [f"Destroyed {name}" for name in WEB]
    assert list(lab.units()) == ["webby.service"]


@pytest.mark.parametrize("words", [["web@3", "web@1", "web@2"], ["web@*"]], ids=["names", "glob"])
def test_cat_gives_one_text_after_the_other(lab, web, words):
    assert lab.ctl("cat", *words).stdout == 3 * service()


def test_status_of_several_is_in_the_order_given(lab, web):
    heads = [line.split()[1] for line in lab.ctl("status", "webby", "web@[^3]*").stdout.splitlines()
             if line.startswith("●")]
    assert heads == ["webby.service", "web@1.service", "web@2.service"]


def test_journal_takes_a_glob_that_one_unit_matches(lab, web):
    assert "webby.service" in lab.ctl("journal", "webb*").stdout
    lab.ctl("journal", "web@1", "web@2", status=2)


@pytest.mark.parametrize("verb", ["cat", "status", "journal", "stop", "unload", "destroy",
                                  "restart", "start", "load"])
def test_a_glob_that_nothing_matches_is_not_found(lab, verb):
    done = lab.ctl(verb, "none*", status=4)
    assert "none*" in done.stderr and done.stdout == ""


def test_a_glob_that_is_wrong_is_a_usage_error(lab):
    assert "[" in lab.ctl("stop", "web@[1", status=2).stderr


# --- files ---------------------------------------------------------------------------------------

def test_files_are_named_by_their_paths(lab):
    folder = lab.files / "some folder"
    folder.mkdir()
    for name in ("p1.service", "p2.timer", "t@.service"):
        (folder / name).write_text("[Timer]\nOnCalendar=yearly\n" if "timer" in name else service())
    done = lab.ctl("submit", "some folder/p1", f"{folder}/p2.timer", "./some folder/t@.service")
    assert said(done) == [f"Unit {name} inactive" for name in
                          ("p1.service", "p2.timer", "t@.service")]
    # The text of an instance comes from the directory of the named file, not from here.
    lab.file("i@.service", service("Environment=FROM=here"))
    (folder / "i@.service").write_text(service("Environment=FROM=there"))
    lab.ctl("submit", "some folder/i@1")
    assert "FROM=there" in lab.ctl("cat", "i@1").stdout
    (folder / "x@7.service").write_text(service("Environment=OWN=yes"))
    (folder / "x@.service").write_text(service())
    lab.ctl("submit", "some folder/x@7.service")
    assert "OWN=yes" in lab.ctl("cat", "x@7").stdout


@pytest.mark.parametrize("verb", ["submit", "load", "start"])
def test_every_file_is_checked_before_the_first_is_stored(lab, verb):
    lab.file("good.service")
    lab.file("wrong.service", "[Service\n")
    for bad, code in (("wrong", 1), ("absent", 4), ("absent@1", 4)):
        assert bad in lab.ctl(verb, "good", bad, status=code).stderr
        assert lab.units() == {}


def test_the_commands_of_a_script_that_submits_all_and_starts_by_name(lab):
    """As deployment scripts for fleet do it."""
    for name in ("app@.service", "db.service", "db-announce.service"):
        lab.file(name, service(fleet=["MachineOf=db.service"] if "-" in name else ()))
    lab.ctl("submit", "app@.service", "db.service", "db-announce.service")
    for path in lab.files.glob("*.service"):
        path.unlink()
    done = lab.ctl("start", "db.service", "db-announce.service", "app@1.service", "app@2.service")
    assert said(done) == [f"Unit {name} launched" for name in (
        "app@1.service", "app@2.service", "db-announce.service", "db.service")]
    assert lab.where("db-announce.service") == lab.where("db.service")


# --- partial failure -----------------------------------------------------------------------------

FAILS = service("Type=oneshot", "ExecStart=/bin/false")
NOWHERE = service(fleet=["MachineMetadata=disk=none"])


@pytest.mark.parametrize("order, code", [
    (["good", "fails", "nowhere"], 1), (["good", "nowhere", "fails"], 6),
    (["nowhere", "good", "fails"], 6)])
def test_start_does_what_it_can_and_ends_as_the_first_unit_that_failed(lab, order, code):
    lab.file("good.service")
    lab.file("fails.service", FAILS)
    lab.file("nowhere.service", NOWHERE)
    done = lab.ctl("start", *order, status=code)
    assert said(done) == ["Unit good.service launched"]
    assert "unit fails.service failed" in done.stderr and "disk=none" in done.stderr


@pytest.mark.parametrize("order, code", [
    (["absent", "idle", "good"], 4), (["idle", "absent", "good"], 1), (["good", "idle"], 1)])
@pytest.mark.parametrize("verb, past", [("stop", "loaded"), ("restart", "launched")])
def test_stop_and_restart_act_on_what_they_can(lab, verb, past, order, code):
    lab.start("good.service")
    lab.file("idle.service")
    lab.ctl("submit", "idle")
    done = lab.ctl(verb, *order, status=code)
    assert said(done) == [f"Unit good.service {past}"]
    assert "idle.service" in done.stderr and "inactive" in done.stderr


@pytest.mark.parametrize("verb, past", [("unload", "Unit good.service inactive"),
                                        ("destroy", "Destroyed good.service"),
                                        ("cat", "[Service]\nExecStart=/bin/sleep infinity")])
def test_units_that_do_not_exist_keep_nobody_from_the_others(lab, verb, past):
    lab.start("good.service")
    for order in (["absent", "good"], ["good", "absent"]):
        done = lab.ctl(verb, *order, status=4)
        assert "absent.service" in done.stderr
        assert done.stdout.startswith(past)
        if verb == "destroy":
            lab.ctl("start", "good")


@pytest.mark.parametrize("order, code", [
    (["good", "idle", "absent"], 3), (["absent", "idle", "good"], 4)])
def test_status_shows_what_there_is_and_ends_as_the_first_that_is_not_active(lab, order, code):
    lab.start("good.service")
    lab.file("idle.service")
    lab.ctl("load", "idle")
    done = lab.ctl("status", "--no-block", *order, status=code)
    assert "active (running)" in done.stdout
    assert "inactive (dead)" in done.stdout
    assert "absent.service" in done.stderr


# --- restart -------------------------------------------------------------------------------------

def test_restart_goes_from_one_to_the_next_when_it_runs_again(lab):
    lab.run("m1", "rm", "-f", "/run/story")
    story = "ExecStart%s=/bin/sh -c 'sleep 0.1; echo %s %%i >> /run/story'"
    lab.file("step@.service", service(story % ("Pre", "begins"), "ExecStart=/bin/sleep infinity",
                                      story % ("Post", "runs"), "ExecStop=/bin/sh -c "
                                      "'echo stops %i >> /run/story'",
                                      fleet=[f"MachineID={lab.id['m1']}"]))
    lab.ctl("start", "step@1", "step@2", "step@3")
    lab.run("m1", "rm", "/run/story")
    lab.ctl("restart", "step@3", "step@[12].service")
    assert lab.run("m1", "cat", "/run/story").splitlines() == [
        f"{what} {which}" for which in "312" for what in ("stops", "begins", "runs")]


def test_restart_ends_at_the_first_that_fails(lab):
    lab.run("m1", "rm", "-f", "/run/broken")
    lab.file("frail@.service", service("ExecStartPre=/bin/sh -c '[ %i != 2 -o ! -e /run/broken ]'",
                                       fleet=[f"MachineID={lab.id['m1']}"]))
    names = [f"frail@{i}.service" for i in "123"]
    lab.ctl("start", *names)
    before = lab.runs("m1")
    lab.run("m1", "touch", "/run/broken")
    done = lab.ctl("restart", *names, status=1)
    assert said(done) == ["Unit frail@1.service launched"]
    assert "frail@2.service" in done.stderr
    after = lab.runs("m1")
    assert [after["m1", name] == before["m1", name] for name in names] == [False, False, True]


def test_restart_of_one_that_is_stopped_starts_it(lab):
    lab.start("rests.service")
    lab.ctl("stop", "rests")
    assert said(lab.ctl("restart", "rests")) == ["Unit rests.service launched"]
    assert lab.unit("rests.service")["desiredState"] == "launched"
