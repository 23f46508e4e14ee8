"""batch: one POST /batch of N new units with different texts, from its first byte to its answer,
which comes when all of them are stored and the machine that was asked shows them.

Once with a registry in etcd, once with the embedded one. Nothing is started.
"""
import http.client
import json
import time

from . import progress, units
from .errors import BenchError
from .lab import Lab, describe

ANSWER_SECONDS = 120
PAGE = 10_000


def run(options):
    found = [{} for _ in range(options.runs)]
    for registry in ("etcd", "embedded"):
        with Lab(options, options.ttl, etcd=1 if registry == "etcd" else 0,
                 machines=None if registry == "etcd" else 1) as lab:
            describe(lab)
            address = lab.address(lab.machines[0])
            _one(address, 0, min(100, options.units))  # reads the programs from the disk
            for number in range(1, options.runs + 1):
                figures = _one(address, number, options.units)
                found[number - 1].update({f"{registry}_{name}": value
                                          for name, value in figures.items()})
                progress.say(f"batch of {options.units} units, {registry}, run {number} of "
                             f"{options.runs}: "
                             + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()))
    return found


def _one(address, number, count):
    names = [f"{units.FLEET}-{each}.service" for each in range(count)]
    body = json.dumps({"changes": [
        {"name": name, "desiredState": "inactive",
         "content": f"{units.TEXT}\n# {name} of run {number}\n"} for name in names]})
    created = _batch(address, body, 201, count)
    listed = json.loads(_ask(address, "GET", f"/fleet/v1/units?view=summary&limit={PAGE}"))
    if {unit["name"] for unit in listed["units"]} != set(names):
        raise BenchError(f"{len(listed['units'])} units are registered, not {count}")
    body = json.dumps({"changes": [{"name": name, "destroy": True} for name in names]})
    return {"create": created, "destroy": _batch(address, body, 204, count)}


def _batch(address, body, code, count):
    began = time.monotonic()
    answer = _ask(address, "POST", "/fleet/v1/batch", body)
    spent = time.monotonic() - began
    results = json.loads(answer)["results"]
    if len(results) != count or any(each["code"] != code for each in results):
        wrong = next((each for each in results if each["code"] != code), None)
        raise BenchError(f"the batch was answered {wrong}")
    return spent


def _ask(address, method, path, body=None):
    connection = http.client.HTTPConnection(*address, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        raise BenchError(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise BenchError(f"{method} {path}: {answer.status} {text[:300]!r}")
    return text
