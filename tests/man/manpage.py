"""The manual pages, formatted as users see them, and what the programs say of themselves."""
import functools
import os
import re
import subprocess
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
MAN = os.path.join(ROOT, "man")
BIN = os.path.abspath(os.environ.get("FLEET_BIN", os.path.join(ROOT, "build", "release", "bin")))
PAGES = sorted(os.listdir(MAN))
_WIDE = 9000  # columns: nothing is broken or hyphenated


def source(page):
    with open(os.path.join(MAN, page), encoding="utf-8") as file:
        return file.read()


@functools.cache
def text(page):
    """The page as plain text, each paragraph on one line."""
    command = ["groff", "-mdoc", "-Tutf8", "-P-cbou", f"-rLL={_WIDE}n", os.path.join(MAN, page)]
    return _plain(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _plain(formatted):
    for typographic, typed in (("‐", "-"), ("−", "-"), ("’", "'"), ("‘", "'")):
        formatted = formatted.replace(typographic, typed)
    return formatted


def section(page, title):
    """The lines of a section, subsections included."""
    found = re.search(rf"^{re.escape(title)}\n((?: .*\n|\n)*)", text(page), re.MULTILINE)
    assert found, f"{page} has no section {title}"
    return found.group(1)


def entries(section_text):
    """[(head, body)] of the tagged paragraphs, those within others too: `--flag=VALUE` and what
    stands below it, or beside it."""
    lines = [(len(line) - len(line.lstrip()), line.strip())
             for line in section_text.splitlines() if line.strip()]
    found = []
    for number, (indent, head) in enumerate(lines):
        body = []
        for deeper, line in lines[number + 1:]:
            if deeper <= indent:
                break
            body.append(line)
        # A short head has the first words of its body on its line.
        short = re.match(r"(\S+(?:, \S+)?) {2,}(\S.*)", head)
        if short:
            found.append((short.group(1), " ".join([short.group(2), *body])))
        else:
            found.append((head, " ".join(body)))
    return found


def literal_blocks(page):
    """What stands apart as an example, without its indentation."""
    parts = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", source(page), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(_unescaped(part)) for part in parts]


def raw_literals(page):
    """The same with their escapes, and single example lines."""
    return [*re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", source(page), re.MULTILINE | re.DOTALL),
            *re.findall(r"^\.Dl (.*)$", source(page), re.MULTILINE)]


def _unescaped(roff):
    for escape, typed in ((r"\-", "-"), (r"\(aq", "'"), (r"\(dq", '"'), (r"\(ha", "^"),
                          (r"\(ti", "~"), (r"\&", "")):
        roff = roff.replace(escape, typed)
    return roff.replace(r"\e", "\\")


def run(program, *arguments, **options):
    """Runs one of our programs: (exit status, standard output and error)."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("FLEET")}
    done = subprocess.run([os.path.join(BIN, program), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=environment, check=False, timeout=30, **options)
    return done.returncode, done.stdout


# --- what fleetctl says ---------------------------------------------------------------------------

class Flag:
    """One line of a list of flags in fleetctl's help."""

    def __init__(self, letter, name, value, help_text):
        self.letter, self.name, self.value, self.help = letter, name, value, help_text
        default = re.search(r"\(default ([^()]*)\)$", help_text)
        self.default = default.group(1) if default else None

    @property
    def spelling(self):
        """As a page's entry has it: `-l, --full`, `--fields=FIELD[,FIELD...]`."""
        return (f"-{self.letter}, " if self.letter else "") + f"--{self.name}" + (
            f"={self.value}" if self.value else "")


def _flags_of(help_text):
    found = re.findall(r"^ {2}(?:-(\w), |    )--([a-z-]+)(?:=(\S+))? +(.*)$", help_text,
                       re.MULTILINE)
    return [Flag(letter, name, value.replace("…", "..."), rest)
            for letter, name, value, rest in found]


@functools.cache
def commands():
    _, out = run("fleetctl", "help")
    listed = out.split("\nCommands:\n")[1].split("\n\n")[0]
    return re.findall(r"^ {2}([a-z-]+) ", listed, re.MULTILINE)


@functools.cache
def global_flags():
    return _flags_of(run("fleetctl", "help")[1])


@functools.cache
def flags_of(command):
    return _flags_of(run("fleetctl", "help", command)[1])
