"""The command line: a case, its options, and one JSON document on standard output."""
import argparse
import json
import signal
import sys

from . import (batch, cycle, drain, failover, figures, host, idle, latency, lab, report, rollout,
               scheduler, series, submit, watch)
from .errors import BenchError

# case: (function of the options that returns the runs, default units, default runs)
CASES = {
    "start": (cycle.start, 100, 5),
    "destroy": (cycle.destroy, 100, 5),
    "drain": (drain.run, 50, 5),
    "failover": (failover.run, 3, 5),
    "failover-etcd": (failover.run_with_etcd, 3, 5),
    "idle": (idle.run, 500, 1),
    "latency": (latency.run, 500, 20),
    "submit": (submit.run, 1000, 5),
    "batch": (batch.run, 10_000, 5),
    "watch": (watch.run, 200, 3),
    "rollout": (rollout.run, 100, 3),
    "scheduler": (scheduler.run, 1_000_000, 3),
}


def main(arguments):
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that labs come down
    try:
        return options.action(options) or 0
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measures fleet in a lab of its own, with the lower bound "
        "in the same run. One JSON document on standard output, progress on standard error.",
        epilog="example: bench/run start --units 100 --runs 3")
    verbs = parser.add_subparsers(title="cases", metavar="CASE", required=True)
    for case, (_, count, runs) in CASES.items():
        verb = _common(verbs.add_parser(case, help=_HELP[case], description=_HELP[case]))
        verb.add_argument("--machines", type=_positive, default=3, metavar="N",
                          help="machines of the lab (default: 3)")
        verb.add_argument("--units", type=_positive, default=count, metavar="N",
                          help=f"sleeping services (default: {count})")
        verb.add_argument("--runs", type=_positive, default=runs, metavar="N",
                          help=f"how often it is measured (default: {runs})")
        verb.add_argument("--ttl", type=float, metavar="SECONDS",
                          help="agent_ttl (default: fleet's, 10 s)")
        verb.add_argument("--seconds", type=float, default=60, metavar="SECONDS",
                          help="how long idle and watch look on (default: 60)")
        verb.add_argument("--clients", type=_positive, default=1000, metavar="N",
                          help="of watch: how many there are (default: 1000)")
        verb.add_argument("--rate", type=_positive, default=100, metavar="N",
                          help="of watch: changes a second (default: 100)")
        verb.add_argument("--filter", metavar="REGEX",
                          help="of scheduler: only benchmarks with such names")
        verb.add_argument("-o", "--output", choices=("json",), default="json")
        verb.set_defaults(action=_one, case=case)
    verb = _common(verbs.add_parser(
        "all", help="all figures of docs/performance.md, each case as DIR/NAME.json"))
    verb.add_argument("--directory", default=report.DEFAULT_DIRECTORY, metavar="DIR",
                      help="where the results are kept (default: docs/performance)")
    verb.add_argument("--only", metavar="TEXT", help="only results whose name contains it")
    verb.add_argument("--quick", action="store_true", help="few units and runs: to see it work")
    verb.add_argument("-o", "--output", choices=("json", "markdown"), default="json")
    verb.set_defaults(action=_all)
    verb = verbs.add_parser("report", help="Markdown tables from the results in DIR")
    verb.add_argument("directory", nargs="?", default=report.DEFAULT_DIRECTORY, metavar="DIR")
    verb.add_argument("--write", metavar="FILE", help="put the tables into this page, between its "
                      "markers, instead of on standard output")
    verb.set_defaults(action=_report)
    return parser


_HELP = {
    "start": "from fleetctl start of N services to all active, and to its return",
    "destroy": "from fleetctl destroy of N services to none left, and to its return",
    "drain": "from the end of each unit's stop on a drained machine to its being active elsewhere",
    "failover": "from the power loss of a machine to its services active elsewhere",
    "failover-etcd": "the same with three etcd members, of which the leading one loses its power",
    "idle": "what fleetd uses, and asks of etcd, while nothing happens",
    "latency": "list-units and list-unit-files, whole process",
    "submit": "fleetctl submit of N different unit files in one command, whole process",
    "batch": "one POST /batch of N new units until it is answered, with etcd and embedded",
    "watch": "clients of /watch while units change: what they get, and what fleetd needs for it",
    "rollout": "a rolling update of N services, a tenth of them at a time",
    "scheduler": "placements a second on 100 to 10,000 machines; needs no lab",
}


def _common(verb):
    verb.add_argument("--bin", default=lab.DEFAULT_BIN, metavar="DIR",
                      help="where fleetd and fleetctl are (default: build/release/bin)")
    return verb


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: a number from 1 on is wanted")
    return int(text)


def measure(options):
    """Runs one case and returns its document."""
    function = CASES[options.case][0]
    about = host.describe()
    host.warn_if_busy(about)
    parameters = {"machines": options.machines, "units": options.units}
    if options.case == "scheduler":
        parameters = {}  # the names of its figures say it
    ttl = options.ttl or (failover.DEFAULT_TTL if "failover" in options.case else None)
    if ttl:
        parameters["ttl"] = ttl
    if options.case == "watch":
        parameters = {"machines": options.machines, "clients": options.clients,
                      "rate": options.rate}
    if options.case in ("idle", "watch"):
        parameters["seconds"] = options.seconds
    return figures.document(options.case, parameters, about, function(options))


def _one(options):
    _print_json(measure(options))


def _all(options):
    results, failed = series.run(options, _parser(), measure)
    if options.output == "markdown":
        print(report.markdown(results))
    else:
        _print_json({"case": "all", "results": results, "failed": failed})
    return 1 if failed else 0


def _report(options):
    results = report.load(options.directory)
    if options.write:
        report.write(options.write, results)
    else:
        print(report.markdown(results))


def _print_json(value):
    print(json.dumps(value, indent=1, ensure_ascii=False))
