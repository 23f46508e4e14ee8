"""The text of a unit: kept byte for byte, and read as systemd reads it."""
import base64

from cluster import service

LAB = {"machines": 2, "ttl": 5}

RUNS = b"[Service]\nExecStart=/bin/sleep 1d\n"
TEXTS = {
    "comments.service": b"# first\n\n; second\n\n\n" + RUNS + b"   # third\n\n",
    "crlf.service": RUNS.replace(b"\n", b"\r\n") + b"# mixed\n\r\n",
    "backslash.service": b"[Service]\nExecStart=/bin/sleep \\\n# within\n; and this\n   1d\n",
    "last-backslash.service": b"[Service]\nExecStart=/bin/sleep 1d \\",
    "no-newline.service": b"[Service]\nExecStart=/bin/sleep 1d",
    "blanks.service": b"\n\n\t\n[Service]  \n\tExecStart =  /bin/sleep 1d  \t\n \n",
    "mark.service": b"\xef\xbb\xbf" + RUNS,
    "utf8.service": "[Unit]\nDescription=Größe ☃ 𝄞 \u00a0\u200b\n".encode() + RUNS,
    "twice.service": RUNS + b"[Unit]\nDescription=a\n" + b"[Service]\nNice=5\n[Unit]\n",
    "control.service": b"[Unit]\nDescription=\x01\x1b[0m\x7f\n" + RUNS,
    "quotes.service": b"[Service]\nExecStart=/bin/sh -c \"sleep '1d' # \\\"\"\n"
                      b"Environment=\"A=%% b\"\n",
    "long.service": RUNS + b"#" + 500_000 * b"x" + b"\n",
}
NOTHING = {"newlines.service": b"\n\n", "empty.service": b""}  # systemd loads no such unit


def test_every_byte_is_kept_in_the_registry_and_on_the_machine(lab):
    for name, text in {**TEXTS, **NOTHING}.items():
        lab.file(name, text)
    lab.ctl("submit", *TEXTS, *NOTHING)
    lab.ctl("load", *TEXTS)
    for name, text in {**TEXTS, **NOTHING}.items():
        assert lab.ctl("cat", name, binary=True).stdout == text, name
    kept = {}
    for machine in lab.machines:
        out = lab.shell(machine, "cd /run/fleet/units && for f in *; do "
                                 "echo \"$f $(base64 -w0 \"$f\")\"; done")
        kept.update(line.split(" ", 1) for line in out.splitlines())
    assert {name: base64.b64decode(text) for name, text in kept.items()} == TEXTS


def test_options_are_read_as_systemd_reads_them(lab):
    """Continuations, comments within them, lists that are reset, sections in pieces, quotes."""
    text = f"""\
[Unit]
Description=first
Description=the \\
# not this
; nor this
   last\\
 word
[X-Fleet]
MachineID=none
Conflicts=tw*.service
[Service]
ExecStart=/bin/sleep 1d
Environment=GONE=1
Environment=
Environment="A=one two" B=3
Environment=C=4 \\
  D=5
[Unit]
[X-Fleet]
MachineID={lab.id["m1"]}
Conflicts=
Conflicts=one.service \\
# not this
  two.service
[Service]
Nice = 7
"""
    lab.start("odd.service", text)
    shown = lab.show("m1", "odd.service", "Environment", "Nice", "Description")
    assert shown == {"Environment": '"A=one two" B=3 C=4 D=5', "Nice": "7",
                     "Description": "the     last  word"}
    described = lab.ctl("list-unit-files", "--no-legend", "--fields=desc", "odd.service").stdout
    assert described.strip("\n\t") == shown["Description"]
    pin = f"MachineID={lab.id['m1']}"
    for name in ("one.service", "two.service"):
        lab.file(name, service(fleet=[pin]))
        assert "odd.service" in lab.ctl("start", name, status=6).stderr
    assert lab.start("twin.service", service(fleet=[pin])) == "m1"


def test_the_last_description_counts_also_when_it_is_empty(lab):
    lab.file("plain.service", "[Unit]\nDescription=one\nDescription=\n" + service())
    lab.ctl("submit", "plain")
    row = lab.ctl("list-unit-files", "--no-legend", "--fields=unit,desc").stdout
    assert [cell.strip() for cell in row.split("\t")] == ["plain.service", "-"]


def test_names_of_all_characters_and_the_longest_run(lab):
    names = ["a:b_c.d@e-f.service", "aZ09:_.@-.service", "x\\x2dy.service",
             247 * "n" + ".service"]
    for name in names:
        lab.file(name)
    lab.ctl("start", *names)
    assert all(lab.where(name) for name in names), lab.list("list-units")
