"""One function per verb, and the table of what each takes."""
import argparse
import os

from . import containers, keys, layout, lifecycle, report, state
from .errors import LabError
from .main import DEFAULT_NAME


def run(arguments):
    options = _parser().parse_args(arguments)
    return options.action(options) or 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="lab", description="A cluster of real systemd machines (m1, m2, …) on this host.",
        epilog="`lab VERB --help` shows a verb's options and an example.")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    _up(_verb(verbs, "up", _do_up, "bring a lab up",
              "lab up --machines 3 --metadata m1:zone=a,disk=ssd --ttl 5"))
    _verb(verbs, "down", _do_down, "end a lab and leave nothing", "lab down --name t1")
    _output(_verb(verbs, "status", _do_status, "machines and etcd members",
                  "lab status -o json"))
    _output(_verb(verbs, "list", _do_list, "all labs on this host", "lab list -o json",
                  named=False))
    _output(_verb(verbs, "env", _do_env, "variables that make fleetctl talk to the lab",
                  'eval "$(lab env --name t1)" && fleetctl list-machines'))

    verb = _machine(_verb(verbs, "exec", None, "run a command in a machine, as root; its stdin, "
                          "output and exit status are passed through (125: not running)",
                          "lab exec m2 -- systemctl is-active fleet.service"))
    verb.add_argument("command", nargs="*", metavar="CMD")

    verb = _machine(_verb(verbs, "ssh", _do_ssh, "log in to a machine by SSH",
                          "lab ssh m2 -- uptime"))
    verb.add_argument("--user", default="core", help="core (default) or root")
    verb.add_argument("command", nargs="*", metavar="CMD")

    _machine(_verb(verbs, "crash", _do_crash, "power loss: no goodbye; the disk stays",
                   "lab crash m2"))
    verb = _machine(_verb(verbs, "boot", _do_boot, "switch a machine on, and wait for it",
                          "lab boot m2 --wipe"))
    verb.add_argument("--wipe", action="store_true", help="with an emptied disk")
    _machine(_verb(verbs, "reboot", _do_reboot, "clean reboot, and wait for it",
                   "lab reboot m2"))
    _machine(_verb(verbs, "poweroff", _do_poweroff, "clean shutdown, and wait for it",
                   "lab poweroff m2"))
    for name, action, what in (
            ("partition", _do_partition, "drop a machine's packets; its link stays up"),
            ("heal", _do_heal, "let its packets through again")):
        verb = _machine(_verb(verbs, name, action, what, f"lab {name} m2 --from etcd"),
                        "m1, m2, … or several: m1,m2; or 'all'")
        verb.add_argument("--from", action="append", default=[], dest="peers", metavar="PEER",
                          help="only this peer: 'etcd' or a machine (default: everybody)")
        if name == "partition":
            verb.add_argument("--only", choices=("in", "out"), help="only what it would get, or "
                              "only what it sends (heal it without --from)")

    verb = _machine(_verb(verbs, "impair", _do_impair, "make a machine's network bad; what is not "
                          "given is as good as new", "lab impair m2 --loss 30 --delay 100"))
    verb.add_argument("--loss", type=int, metavar="PERCENT", help="of its packets, each way")
    verb.add_argument("--delay", type=int, metavar="MS", help="of each packet, each way")
    verb.add_argument("--rate", type=int, metavar="KBIT", help="each second, each way")

    verb = _verb(verbs, "etcd", _do_etcd, "stop, start, pause or resume etcd; data is kept",
                 "lab etcd stop --member 2")
    verb.add_argument("verb", choices=("stop", "start", "pause", "resume"))
    verb.add_argument("--member", action="append", type=int, default=[], metavar="K",
                      help="only this member: 1, 2, 3 (default: all)")
    verb.add_argument("--kill", action="store_true", help="stop with SIGKILL")

    verb = _machine(_verb(verbs, "logs", _do_logs, "a machine's journal, also of a dead one",
                          "lab logs m1 -u fleet.service -n 50"))
    verb.add_argument("-u", "--unit", help="only this unit")
    verb.add_argument("-n", "--lines", type=int, help="only the last lines")
    verb.add_argument("-f", "--follow", action="store_true")
    verb.add_argument("--console", action="store_true", help="the console instead")
    return parser


def _verb(verbs, name, action, what, example, named=True):
    verb = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".",
                            epilog=f"example: {example}")
    verb.set_defaults(action=action)
    if named:
        verb.add_argument("--name", default=DEFAULT_NAME, metavar="L",
                          help=f"the lab's name (default: {DEFAULT_NAME})")
    return verb


def _machine(verb, what="m1, m2, …"):
    verb.add_argument("machine", metavar="M", help=what)
    return verb


def _output(verb):
    verb.add_argument("-o", "--output", choices=("text", "json"), default="text")
    return verb


def _up(verb):
    default_bin = os.path.join(layout.SOURCE_DIR, "build", "release", "bin")
    verb.add_argument("--machines", type=int, default=3, metavar="N", help="default: 3")
    verb.add_argument("--etcd", choices=("1", "3", "none"), default="1",
                      help="members, or none: one machine with the embedded registry")
    verb.add_argument("--etcd-tls", action="store_true",
                      help="etcd asks for TLS with client certificates")
    verb.add_argument("--etcd-auth", default="", metavar="USER:PASSWORD",
                      help="etcd asks for a login; the user may touch fleet's keys only")
    verb.add_argument("--etcd-token-ttl", type=int, metavar="SECONDS",
                      help="how long a login lasts (with --etcd-auth)")
    verb.add_argument("--ttl", metavar="SECONDS", help="agent_ttl")
    verb.add_argument("--metadata", action="append", default=[], metavar="M:KEY=VALUE,…",
                      help="a machine's metadata; repeatable")
    verb.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE",
                      help="a line for every machine's fleet.conf; repeatable")
    verb.add_argument("--bin", default=default_bin, metavar="DIR",
                      help="where fleetd and fleetctl are (default: build/release/bin)")
    verb.add_argument("--packaging", default=os.path.join(layout.SOURCE_DIR, "packaging"),
                      metavar="DIR", help="where fleet.service and fleet.socket are "
                      "(default: packaging)")
    verb.add_argument("--no-fleet", action="store_true", help="machines without fleetd")
    verb.add_argument("--fleet-timeout", type=float, default=60, metavar="SECONDS",
                      help="how long to wait for list-machines (default: 60)")
    verb.add_argument("--bind", action="append", default=[], metavar="SRC[:DST]",
                      help="a path of the host that the machines see read-write; repeatable")
    verb.add_argument("--bind-ro", action="append", default=[], metavar="SRC[:DST]",
                      help="the same, read-only")
    verb.add_argument("--containers", action="append", default=[], choices=containers.ENGINES,
                      help="machines that can run containers; repeatable")
    verb.add_argument("--package", action="append", default=[], metavar="PKG",
                      help="a Debian package more in the machines' root; repeatable")
    verb.add_argument("--nspawn", action="append", default=[], metavar="OPTION",
                      help="an option more for systemd-nspawn: --nspawn=--capability=…")
    verb.add_argument("--size", default="2G", help="the most that all machines' disks may hold "
                      "(in memory; default: 2G)")


def _do_up(options):
    lab = layout.Layout(options.name)
    lifecycle.up(lab, {
        "machines": _machine_count(options),
        "etcd": 0 if options.etcd == "none" else int(options.etcd),
        **_etcd_security(options),
        "ttl": _ttl(options.ttl),
        "metadata": _metadata(lab, options),
        "conf": _conf(options.conf),
        "packaging": os.path.abspath(options.packaging),
        "containers": sorted(set(options.containers)),
        "bin": os.path.abspath(options.bin),
        "fleet": not options.no_fleet,
        "fleet_timeout": options.fleet_timeout,
        "nspawn": [f"--bind={_bind(b)}" for b in options.bind]
        + [f"--bind-ro={_bind(b)}" for b in options.bind_ro] + options.nspawn,
        "packages": options.package,
        "size": options.size,
    })


def _machine_count(options):
    if not 1 <= options.machines <= layout.MAX_MACHINES:
        raise LabError(f"--machines {options.machines}: "
                       f"1 to {layout.MAX_MACHINES} are possible", 2)
    if options.etcd == "none" and options.machines > 1 and not options.no_fleet:
        raise LabError("--etcd none: without etcd a machine is a cluster of its own; "
                       "use --machines 1", 2)
    return options.machines


def _etcd_security(options):
    if options.etcd == "none" and (options.etcd_tls or options.etcd_auth):
        raise LabError("--etcd-tls and --etcd-auth: there is no etcd (--etcd none)", 2)
    user, _, password = options.etcd_auth.partition(":")
    if options.etcd_auth and (not user or not password or user == "root"):
        raise LabError(f"--etcd-auth {options.etcd_auth}: USER:PASSWORD is wanted, and a user "
                       "other than root", 2)
    if options.etcd_token_ttl is not None:
        if options.etcd_token_ttl < 1:
            raise LabError(f"--etcd-token-ttl {options.etcd_token_ttl}: a number of seconds is "
                           "wanted", 2)
        if not options.etcd_auth:
            raise LabError("--etcd-token-ttl: there are no logins without --etcd-auth", 2)
    return {"etcd_tls": options.etcd_tls, "etcd_auth": options.etcd_auth,
            "etcd_token_ttl": options.etcd_token_ttl}


def _ttl(text):
    try:
        if text is not None and float(text) <= 0:
            raise ValueError
    except ValueError:
        raise LabError(f"--ttl {text}: a number of seconds is wanted", 2) from None
    return text


def _metadata(lab, options):
    found = {}
    for text in options.metadata:
        name, colon, pairs = text.partition(":")
        if not colon or "=" not in pairs:
            raise LabError(f"--metadata {text}: M:KEY=VALUE,… is wanted", 2)
        if lab.machine_named(name).number > options.machines:
            raise LabError(f"--metadata {text}: there is no {name}", 2)
        found[name] = f"{found[name]},{pairs}" if name in found else pairs
    return found


def _conf(lines):
    for line in lines:
        if "=" not in line or "\n" in line:
            raise LabError(f"--conf {line}: KEY=VALUE is wanted", 2)
    return lines


def _bind(text):
    source, colon, rest = text.partition(":")
    source = os.path.abspath(source)
    if not os.path.exists(source):
        raise LabError(f"--bind {text}: {source} is not there", 2)
    return source + colon + rest


def _do_down(options):
    lifecycle.down(layout.Layout(options.name))


def _do_status(options):
    report.print_status(layout.Layout(options.name), options.output)


def _do_list(options):
    report.print_list(options.output)


def _do_env(options):
    report.print_env(layout.Layout(options.name), options.output)


def _do_ssh(options):
    lab = layout.Layout(options.name)
    current = state.require(lab)
    machine = state.machine(lab, current, options.machine)
    argv = keys.ssh_command(lab, current, machine, options.user, options.command)
    os.execvp(argv[0], argv)


def _do_crash(options):
    lifecycle.crash(layout.Layout(options.name), options.machine)


def _do_boot(options):
    lifecycle.boot(layout.Layout(options.name), options.machine, options.wipe)


def _do_reboot(options):
    lifecycle.reboot(layout.Layout(options.name), options.machine)


def _do_poweroff(options):
    lifecycle.poweroff(layout.Layout(options.name), options.machine)


def _do_partition(options):
    way = f":{options.only}" if options.only else ""
    lifecycle.partition(layout.Layout(options.name), options.machine,
                        [peer + way for peer in options.peers or ["*"]])


def _do_heal(options):
    lifecycle.heal(layout.Layout(options.name), options.machine, options.peers)


def _do_impair(options):
    for value, least, most in ((options.loss, 1, 100), (options.delay, 1, 10000),
                               (options.rate, 8, 1000000)):
        if value is not None and not least <= value <= most:
            raise LabError(f"impair: {value} is not between {least} and {most}", 2)
    lifecycle.impair(layout.Layout(options.name), options.machine, options.loss, options.rate,
                     options.delay)


def _do_etcd(options):
    lifecycle.etcd_verb(layout.Layout(options.name), options.verb, options.member, options.kill)


def _do_logs(options):
    return report.logs(layout.Layout(options.name), options.machine, options.unit,
                       options.lines, options.follow, options.console)
