"""all: what docs/performance.md shows, one result a file."""
import json
import os

from . import progress
from .errors import BenchError

# name of the result: arguments of the case
SERIES = {
    **{f"{case}-{count}": [case, "--units", str(count), "--runs", "5"]
       for case in ("start", "destroy") for count in (1, 10, 100, 500, 1000)},
    **{f"{case}-ttl{ttl}": [case, "--ttl", str(ttl), "--runs", "5"]
       for case in ("failover", "failover-etcd") for ttl in (10, 2)},
    "drain-50": ["drain", "--units", "50", "--runs", "5"],
    "idle": ["idle", "--units", "500", "--runs", "3"],
    **{f"latency-{count}": ["latency", "--units", str(count), "--runs", "20"]
       for count in (500, 1000)},
    "submit-1000": ["submit", "--units", "1000", "--runs", "5"],
    "batch-10000": ["batch", "--units", "10000", "--runs", "5"],
    "watch-1000": ["watch", "--clients", "1000", "--rate", "100", "--seconds", "60", "--runs", "3"],
    "rollout-100": ["rollout", "--units", "100", "--runs", "3"],
    "scheduler": ["scheduler", "--runs", "3"],
}
QUICK = {
    **{f"{case}-{count}": [case, "--units", str(count), "--runs", "1"]
       for case in ("start", "destroy") for count in (1, 10)},
    **{f"{case}-ttl2": [case, "--ttl", "2", "--runs", "1"]
       for case in ("failover", "failover-etcd")},
    "drain-5": ["drain", "--units", "5", "--runs", "1"],
    "idle": ["idle", "--units", "30", "--seconds", "5"],
    "latency-30": ["latency", "--units", "30", "--runs", "3"],
    "submit-100": ["submit", "--units", "100", "--runs", "1"],
    "batch-100": ["batch", "--units", "100", "--runs", "1"],
    "watch-10": ["watch", "--clients", "10", "--rate", "20", "--seconds", "5", "--runs", "1"],
    "rollout-10": ["rollout", "--units", "10", "--runs", "1"],
    "scheduler": ["scheduler", "--runs", "1", "--filter", "/100$"],
}


def run(options, parser, measure):
    """Measures the series and keeps each result in the directory: ({name: document}, failures).

    A case that fails leaves no result, not even an older one, and the others go on.
    """
    os.makedirs(options.directory, exist_ok=True)
    found, failed = {}, {}
    for name, arguments in (QUICK if options.quick else SERIES).items():
        if options.only and options.only not in name:
            continue
        progress.say(f"--- {name}")
        path = os.path.join(options.directory, f"{name}.json")
        if os.path.exists(path):
            os.unlink(path)
        try:
            found[name] = measure(parser.parse_args([*arguments, "--bin", options.bin]))
        except BenchError as error:
            failed[name] = str(error)
            progress.say(f"{name} failed: {error}")
            continue
        with open(path, "w", encoding="utf-8") as file:
            json.dump(found[name], file, indent=1, ensure_ascii=False)
            file.write("\n")
    return found, failed
