"""The command line. `exec` is taken apart here, before anything slow is imported."""
import sys

from .errors import LabError

DEFAULT_NAME = "lab"


def main(arguments):
    try:
        if arguments[:1] == ["exec"] and not {"-h", "--help"} & set(_before_dashes(arguments)):
            return _execute(arguments[1:])
        from . import commands
        return commands.run(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 141


def _before_dashes(arguments):
    return arguments[:arguments.index("--")] if "--" in arguments else arguments


def _execute(arguments):
    """exec [--name L] M [--] CMD…: options stand before the command."""
    from . import enter, layout
    name, machine, rest = DEFAULT_NAME, None, list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            break
        if word == "--name":
            name = rest.pop(0) if rest else ""
        elif word.startswith("--name="):
            name = word[len("--name="):]
        elif word.startswith("-"):
            raise LabError(f"exec has no option {word}", 2)
        elif machine is None:
            machine = word
        else:
            rest.insert(0, word)
            break
    if machine is None:
        raise LabError("usage: lab exec [--name L] M -- CMD…", 2)
    lab = layout.Layout(name)
    enter.execute(lab, lab.machine_named(machine), rest)
    return 0
