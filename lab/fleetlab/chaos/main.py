"""The command line of lab/chaos."""
import argparse
import json
import os
import shutil
import signal
import sys
import time

from .. import layout, lifecycle
from ..errors import LabError
from . import checker, plan, records, summary
from .driver import Driver

TTL = "5"


def main(arguments):
    options = _parser().parse_args(arguments)
    try:
        if options.table:
            print(summary.table(options.table))
            return 0
        if options.judge:
            found = checker.check(records.load(options.judge))
            print("\n".join([*map(str, found), f"{len(found)} violations"]))
            return 1 if found else 0
        return _run(options)
    except LabError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return error.code if error.code != 1 else 3
    except KeyboardInterrupt:
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="chaos", description="Brings up a lab, lets users at it and breaks it at random; then "
        "heals it, and checks by what each systemd has recorded that no unit ran twice (S1), none "
        "was stopped without a reason (S3), what was acknowledged is there (S4), and everything "
        "came to be as it is wanted (L1).",
        epilog="Exit status: 0 nothing found, 1 violations, 2 usage, 3 the run could not be made. "
        "example: lab/chaos --minutes 10 --seed 7 -o json > chaos-7.json")
    parser.add_argument("--minutes", type=float, default=3, help="of faults (default: 3)")
    parser.add_argument("--seed", type=int, help="what is done, and in which order (default: by "
                        "the clock)")
    parser.add_argument("--machines", type=int, default=3, help="default: 3")
    parser.add_argument("--etcd", choices=("1", "3"), default="3", help="members (default: 3)")
    parser.add_argument("--ttl", default=TTL, help=f"agent_ttl in seconds (default: {TTL})")
    parser.add_argument("--name", metavar="L", help="the lab's name (default: chaos-SEED)")
    parser.add_argument("--bin", default=os.path.join(layout.SOURCE_DIR, "build/release/bin"),
                        metavar="DIR", help="where fleetd and fleetctl are")
    parser.add_argument("--only", action="append", default=[], metavar="KIND",
                        choices=tuple(plan.KINDS), help="only faults of this kind; repeatable: "
                        + ", ".join(plan.KINDS))
    parser.add_argument("--isolation", action="store_true",
                        help="also units with OnIsolation=stop, which may never run twice")
    parser.add_argument("--records", metavar="DIR", help="where the log and copies of journals go "
                        "(default: /tmp/chaos-records/L)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    parser.add_argument("--table", nargs="+", metavar="FILE",
                        help="prints a Markdown table of runs from their JSON, and does no run")
    parser.add_argument("--judge", metavar="DIR",
                        help="judges the records of an earlier run again (S1, S3), and does no run")
    return parser


def _run(options):
    if not shutil.which("etcdctl"):
        raise LabError("the judge watches the registry with etcdctl: "
                       "apt-get install --no-install-recommends etcd-client")
    seed = int(time.time()) if options.seed is None else options.seed
    lab = layout.Layout(options.name or f"chaos-{seed}")
    directory = options.records or os.path.join("/tmp/chaos-records", lab.name)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    shutil.rmtree(directory, ignore_errors=True)
    began = time.monotonic()
    try:
        lifecycle.up(lab, {
            "machines": options.machines, "etcd": int(options.etcd), "etcd_tls": False,
            "etcd_auth": "", "etcd_token_ttl": None, "ttl": options.ttl, "metadata": {},
            "conf": [], "packaging": os.path.join(layout.SOURCE_DIR, "packaging"),
            "containers": [], "bin": os.path.abspath(options.bin), "fleet": True,
            "fleet_timeout": 60, "nspawn": [], "packages": [], "size": "6G"})
        world = records.RecordedWorld(lab, directory)
        try:
            driver = Driver(world, seed, options.minutes * 60, options.only, options.isolation)
            history = driver.run()
            found = summary.summary(driver, history, seed, time.monotonic() - began)
        finally:
            world.close()
            for name in world.machines:  # the lab goes; the truth stays
                world.keep_journal(name)
    finally:
        if not options.keep:
            lifecycle.down(lab)
    with open(os.path.join(directory, "summary.json"), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    print(json.dumps(found, indent=1) if options.output == "json" else summary.text(found))
    return 1 if found["violations"] else 0
