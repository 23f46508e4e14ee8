"""The tables of list-machines, list-units and list-unit-files, as scripts cut them."""
import subprocess

import pytest
from cluster import BIN, service, wait_for

LAB = {"machines": 2, "ttl": 5, "metadata": ["m1:zone=a,disk=ssd"]}
pytestmark = pytest.mark.machines(2)

FIELDS = {
    "list-machines": ["machine", "ip", "metadata", "hostname", "state", "units", "version",
                      "lock"],
    "list-units": ["unit", "machine", "load", "active", "sub", "hash", "drift"],
    "list-unit-files": ["unit", "hash", "desc", "dstate", "state", "target", "global",
                        "replicas", "reason"],
}
TEXT = "[Unit]\nDescription=the first of all\n" + service()


def rows(done):
    return [[cell.strip() for cell in line.split("\t")] for line in done.stdout.splitlines()]


@pytest.fixture
def units(lab):
    """b.service is up on m2, a.service is loaded on m1, c.service is known only."""
    lab.start("b.service", service(fleet=[f"MachineID={lab.id['m2']}"]))
    lab.file("a.service", TEXT + f"[X-Fleet]\nMachineID={lab.id['m1']}\n")
    lab.file("c.service")
    lab.ctl("load", "a")
    lab.ctl("submit", "c")


def test_every_field_of_list_machines(lab, units):
    def counted():
        return rows(lab.ctl("list-machines", "--no-legend", "--full",
                            "--fields=hostname,units")) and all(
            row[1] == "1" for row in rows(lab.ctl("list-machines", "--no-legend",
                                                  "--fields=hostname,units")))
    wait_for(counted, "a unit on each machine")
    version = lab.run("m1", "fleetd", "--version").split()[-1]
    table = rows(lab.ctl("list-machines", "--fields", ",".join(FIELDS["list-machines"])))
    assert table[0] == [field.upper() for field in FIELDS["list-machines"]]
    metadata = {"m1": "disk=ssd,zone=a", "m2": "-"}
    assert table[1:] == [
        [id_[:8] + "...", lab.ip[name], metadata[name], name, "ready", "1", version, "-"]
        for id_, name in sorted(lab.of_id.items())]


def test_every_field_of_list_units(lab, units):
    digest = {row[0]: row[1] for row in rows(lab.ctl("list-unit-files", "--full"))}
    fields = "--fields=" + ",".join(FIELDS["list-units"])
    places = {name: (lab.id[machine], lab.ip[machine])
              for name, machine in (("a.service", "m1"), ("b.service", "m2"))}
    states = {"a.service": ["loaded", "inactive", "dead"],
              "b.service": ["loaded", "active", "running"]}
    for flags, id_length, tail, hash_length in (((), 8, "...", 7), (("--full",), 32, "", 64),
                                                (("-l",), 32, "", 64), (("--l",), 32, "", 64)):
        assert rows(lab.ctl("list-units", fields, *flags)) == [
            [field.upper() for field in FIELDS["list-units"]],
            *[[name, f"{places[name][0][:id_length]}{tail}/{places[name][1]}", *states[name],
               digest[name][:hash_length], "-"] for name in ("a.service", "b.service")]]


def test_every_field_of_list_unit_files(lab, units):
    lab.file("g.service", service(fleet=["Global=true"]))
    lab.file("web@.service")
    lab.ctl("submit", "g", "web@.service")
    fields = "--fields=" + ",".join(FIELDS["list-unit-files"])
    table = rows(lab.ctl("list-unit-files", fields))
    assert table[0] == [field.upper() for field in FIELDS["list-unit-files"]]

    def at(machine):
        return f"{lab.id[machine][:8]}.../{lab.ip[machine]}"
    # systemd gives a unit without a description its name for one; what is listed is the text's.
    assert [[row[0], *row[3:]] for row in table[1:]] == [
        ["a.service", "loaded", "loaded", at("m1"), "false", "-", "-"],
        ["b.service", "launched", "launched", at("m2"), "false", "-", "-"],
        ["c.service", "inactive", "inactive", "-", "false", "-", "-"],
        ["g.service", "inactive", "-", "global", "true", "-", "-"],
        ["web@.service", "inactive", "inactive", "-", "false", "-", "-"]]
    assert table[1][2] == "the first of all" and table[2][2] == "-"
    full = rows(lab.ctl("list-unit-files", "--no-legend", "-l", fields))
    assert [len(row[1]) for row in full] == 5 * [64]
    assert full[0][5] == f"{lab.id['m1']}/{lab.ip['m1']}"
    assert [row[1][:7] for row in full] == [row[1] for row in table[1:]]
    digest = subprocess.run(["sha256sum", lab.files / "a.service"], capture_output=True,
                            text=True, check=True).stdout.split()[0]
    assert full[0][1] == digest


def test_tmachine_is_target_with_a_warning(lab, units):
    done = lab.ctl("list-unit-files", "--fields=unit,tmachine", "b*")
    assert rows(done)[1:] == [["b.service", f"{lab.id['m2'][:8]}.../{lab.ip['m2']}"]]
    assert "tmachine" in done.stderr and "deprecated" in done.stderr


@pytest.mark.parametrize("verb", FIELDS)
def test_an_unknown_field_is_refused(lab, verb):
    for fields, wrong in (("bogus", "bogus"), ("unit,ip,bogus", None), ("", ""), ("Unit", "Unit")):
        done = lab.ctl(verb, "--fields", fields, status=1)
        assert done.stdout == ""
        if wrong is not None:
            assert done.stderr == f'Invalid key in output format: "{wrong}"\n'


@pytest.mark.parametrize("verb", FIELDS)
def test_fields_come_in_the_order_asked_for(lab, units, verb):
    """Each alone gives the column of the whole table."""
    names = FIELDS[verb]
    whole = rows(lab.ctl(verb, "--fields", ",".join(names)))
    turned = rows(lab.ctl(verb, "--fields", ",".join(reversed(names))))
    assert turned == [row[::-1] for row in whole] and len(whole) > 2
    assert rows(lab.ctl(verb, f"--fields={names[-1]}")) == [[row[-1]] for row in whole]
    assert rows(lab.ctl(verb, "-o", "wide")) == whole


def test_cut_and_awk_find_the_cells(lab, units):
    def piped(command):
        path = f"{BIN}:{lab.env['PATH']}"
        return subprocess.run(["sh", "-c", command], env={**lab.env, "PATH": path}, text=True,
                              capture_output=True, check=True).stdout.split()
    assert piped("fleetctl list-units --no-legend | cut -f1") == ["a.service", "b.service"]
    assert piped("fleetctl list-units --no-legend | awk '{print $3}'") == ["inactive", "active"]
    assert piped("fleetctl list-units --no-legend -l | cut -f2 | cut -d/ -f1") == [
        lab.id["m1"], lab.id["m2"]]
    assert piped("fleetctl list-unit-files | awk -F'\\t+' '$3 ~ /^inactive/ {print $1}'") == [
        "c.service"]
    assert piped("fleetctl list-machines --no-legend --full | awk '{print $1}'") == sorted(
        lab.id.values())


@pytest.mark.parametrize("verb, header", [
    ("list-machines", "MACHINE IP METADATA"), ("list-units", "UNIT MACHINE ACTIVE SUB"),
    ("list-unit-files", "UNIT HASH DSTATE STATE TARGET")])
def test_there_is_one_header_line_unless_it_is_dropped(lab, units, verb, header):
    with_header = lab.ctl(verb).stdout.splitlines()
    assert with_header[0].split() == header.split()
    for flag in ("--no-legend", "--no-legend=true", "-no-legend"):
        assert lab.ctl(verb, flag).stdout.splitlines() == with_header[1:]
    assert lab.ctl(verb, "--no-legend=false").stdout.splitlines() == with_header


def test_a_list_of_nothing_is_its_header(lab):
    assert lab.ctl("list-units").stdout.split() == ["UNIT", "MACHINE", "ACTIVE", "SUB"]
    assert lab.ctl("list-units", "--no-legend").stdout == ""
    assert len(lab.ctl("list-unit-files").stdout.splitlines()) == 1


def test_rows_are_sorted_by_name_as_bytes(lab):
    names = ["Z.service", "a-b.service", "a.service", "a1.service", "a10.service", "a2.service",
             "b.service", "b.socket"]
    for name in reversed(names):
        lab.file(name, "[Socket]\nListenStream=/run/b.sock\n" if "socket" in name else service())
    lab.ctl("submit", *reversed(names))
    assert lab.ctl("list-unit-files", "-o", "name").stdout.split() == names
