"""Markdown tables for docs/performance.md, from the documents of the cases."""
import json
import os

from . import comparison
from .errors import BenchError
from .lab import SOURCE

DEFAULT_DIRECTORY = os.path.join(SOURCE, "docs", "performance")
BEGIN = "<!-- made by bench/run report: begin -->"
END = "<!-- made by bench/run report: end -->"
_REACHED, _MISSED = "yes", "**missed**"


def load(directory):
    found = {}
    for entry in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        if entry.endswith(".json"):
            with open(os.path.join(directory, entry), encoding="utf-8") as file:
                try:
                    found[entry.removesuffix(".json")] = json.load(file)
                except ValueError as error:
                    raise BenchError(f"{file.name} is no result: {error}") from error
    if not found:
        raise BenchError(f"{directory} has no results; `bench/run all` measures them")
    return found


def write(page, results):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"{page} lacks the lines '{BEGIN}' and '{END}'")
    with open(page, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{markdown(results)}\n{END}{after}")


def markdown(results):
    measured = [_cycle(results, "start", "active"), _cycle(results, "destroy", "gone"),
                _failover(results), _failover_etcd(results), _drain(results), _idle(results),
                _latency(results), _at_once(results), _batch(results), _watch(results),
                _rollout(results), _scheduler(results)]
    measured = [part for part in measured if part]
    parts = [_host(results), _missed(measured), *measured,
             *comparison.sections(results, _section)]
    return "\n\n".join(parts)


def _missed(parts):
    """The goals that are missed, first: nobody should have to look for them."""
    missed = sum(part.count(_MISSED) for part in parts)
    reached = sum(part.count(f"| {_REACHED} ") for part in parts)
    where = [part.split("\n", 1)[0].lstrip("# ") for part in parts if _MISSED in part]
    if not missed:
        return f"All {reached} goals are reached."
    return f"{missed} of {missed + reached} goals are missed: {'; '.join(where)}."


def _host(results):
    hosts = [each["host"] for each in results.values()]
    machines = dict.fromkeys(f"{each['cores']} cores ({each['cpu']}), {each['memory_gib']} GiB, "
                             f"Linux {each['kernel']}" for each in hosts)
    dates = sorted({each["date"] for each in hosts})
    load = max(each["load"] for each in hosts)
    return (f"Measured on {'; or '.join(machines)}; "
            f"{' and '.join(dict.fromkeys((dates[0], dates[-1])))}. "
            f"The highest load average at the beginning of a case was {load:.1f}.\n\n"
            "Seconds as min/**median**/max, unless a table says otherwise.")


# --- start, destroy -------------------------------------------------------------------------------

def _cycle(results, case, reached):
    """The goal is held against the medians: at most 1.3 times plain + 0.2 s."""
    rows = []
    for name, each in _of_case(results, case):
        figures = each["figures"]
        goal = 1.3 * figures["plain"]["median"] + 0.2
        rows.append([str(each["parameters"]["units"]), _spread(figures["plain"]),
                     _spread(figures[reached]), _spread(figures["returned"]),
                     _spread(figures["ratio"], 2), f"{goal:.3f}",
                     _verdict(figures[reached]["median"], goal),
                     _verdict(figures["returned"]["median"], goal)])
    title = {"start": "### Starting N sleeping services", "destroy": "### Destroying them"}[case]
    return _section(title, ["N", "plain systemd", f"fleet: all {reached}", "fleetctl returned",
                            "ratio to plain", "goal", reached, "returned"], rows)


def _of_case(results, case):
    found = [(name, each) for name, each in results.items() if each["case"] == case]
    return sorted(found, key=lambda item: (item[1]["parameters"].get("units", 0),
                                           item[1]["parameters"].get("ttl", 0)))


# --- failover -------------------------------------------------------------------------------------

def _failover(results):
    rows = []
    for _, each in _of_case(results, "failover"):
        ttl = each["parameters"].get("ttl", 10)
        for victim, what in (("not_leader", "another machine"), ("leader", "the engine's leader")):
            figure, goal = each["figures"][victim], ttl + 0.5
            rows.append([f"{ttl:g} s", what, _spread(figure, 2),
                         _spread(each["figures"][f"{victim}_bound"], 2), f"{goal:.2f}",
                         _verdict(figure["median"], goal)])
    return _section("### Failover: power loss until active elsewhere",
                    ["TTL", "lost", "fleet", "bare etcd lease", "goal", "reached"], rows)


def _failover_etcd(results):
    rows = []
    for _, each in _of_case(results, "failover-etcd"):
        ttl = each["parameters"].get("ttl", 10)
        for victim, what in (("not_leader", "another machine"), ("leader", "the engine's leader")):
            figure, election = each["figures"][victim], each["figures"][f"{victim}_election"]
            goal = election["median"] + ttl + 1
            rows.append([f"{ttl:g} s", what, _spread(election, 2), _spread(figure, 2),
                         _spread(each["figures"][f"{victim}_bound"], 2), f"{goal:.2f}",
                         _verdict(figure["median"], goal)])
    return _section("### The same moment, etcd's leader (of three members) loses its power too",
                    ["TTL", "lost with it", "etcd's election", "fleet", "bare etcd lease", "goal",
                     "reached"], rows)


# --- rollout --------------------------------------------------------------------------------------

def _rollout(results):
    """The goals: never more down than a tenth, and 1.3 times what the batches take by themselves."""
    rows = []
    for _, each in _of_case(results, "rollout"):
        count, figures = each["parameters"]["units"], each["figures"]
        rows.append([str(count), _spread(figures["bound"], 2), _spread(figures["total"], 2),
                     _spread(figures["ratio"], 2), _verdict(figures["ratio"]["median"], 1.3),
                     str(figures["most_down"]["max"]),
                     _verdict(figures["most_down"]["max"], max(1, count // 10))])
    return _section("### A rolling update, a tenth of N services at a time",
                    ["N", "the batches' own starts and HealthyAfter", "fleetctl returned", "ratio",
                     "at most 1.3", "down at once", "at most a tenth"], rows)


# --- drain ----------------------------------------------------------------------------------------

def _drain(results):
    parts = []
    for _, each in _of_case(results, "drain"):
        figures = each["figures"]
        rows = [["a unit is down beyond its own stop, median of all units",
                 _spread(figures["interruption"], 3), "below 1",
                 _verdict(figures["interruption"]["median"], 1, strict=True)],
                ["the same, the unit that is down longest",
                 _spread(figures["longest_interruption"], 3), "", ""],
                ["from `fleetctl drain` to all active elsewhere", _spread(figures["active"], 3),
                 "", ""],
                ["to its return", _spread(figures["returned"], 3), "", ""]]
        parts.append(_section(f"### Drain of a machine with {each['parameters']['units']} units",
                              ["figure", "seconds, min/**median**/max", "goal", "reached"], rows))
    return "\n\n".join(parts)


# --- idle, latency --------------------------------------------------------------------------------

def _idle(results):
    goals = (("cpu_percent_max", "fleetd's CPU, the busiest machine, % of a core", 0.1),
             ("cpu_percent_leader", "fleetd's CPU, the engine's leader, % of a core", 0.1),
             ("systemd_cpu_percent_max", "(systemd's own CPU, for comparison)", None),
             ("rss_mib_max", "fleetd's resident memory, MiB", 25),
             ("rss_anonymous_mib_max", "of that its own: heap and stacks, MiB", None),
             ("rss_file_mib_max", "of that mapped files: program and libraries, MiB", None),
             ("store_writes", "writes in etcd", 0),
             ("store_range_reads", "range reads in etcd", 0),
             ("lease_renewals", "(lease keep-alives)", None))
    parts = []
    for _, each in _of_case(results, "idle"):
        rows = []
        for name, what, goal in goals:
            figure = each["figures"][name]
            small = name.startswith(("store", "lease"))
            rows.append([what, _spread(figure, 0 if small else 3 if "cpu" in name else 1),
                         "" if goal is None else "0" if goal == 0 else f"below {goal:g}",
                         "" if goal is None else
                         _verdict(figure["max"], goal, strict=goal > 0)])
        parameters = each["parameters"]
        parts.append(_section(
            f"### Idle for {parameters['seconds']:g} s, {parameters['units']} units",
            ["figure", "min/**median**/max", "goal", "reached"], rows))
    return "\n\n".join(parts)


def _latency(results):
    parts = []
    for _, each in _of_case(results, "latency"):
        if each["parameters"]["units"] in _submitted(results):
            continue  # see _at_once
        rows = []
        for name, what in (("list_units", "`fleetctl list-units`"),
                           ("list_unit_files", "`fleetctl list-unit-files`"),
                           ("process", "(`fleetctl version`: the process alone)")):
            figure = each["figures"][name]
            goal = name.startswith("list")
            rows.append([what, _spread(figure, 4), "below 0.020" if goal else "",
                         _verdict(figure["median"], 0.020, strict=True) if goal else ""])
        parts.append(_section(f"### Latency, {each['parameters']['units']} units",
                              ["command", "seconds", "goal", "reached"], rows))
    return "\n\n".join(parts)


# --- many units in one command --------------------------------------------------------------------

# What 1,000 units may take, whatever the machine: (case, figure, what it is, seconds).
_THOUSAND = (("latency", "list_units", "`fleetctl list-units`", 0.050),
             ("latency", "list_unit_files", "`fleetctl list-unit-files`", 0.050),
             ("submit", "submit", "`fleetctl submit` of different files, in one command", 2),
             ("submit", "verify", "(`fleetctl verify` of the same files)", None),
             ("destroy", "gone", "`fleetctl destroy`, until none is left in any systemd", 3))


def _submitted(results):
    return sorted({each["parameters"]["units"] for _, each in _of_case(results, "submit")})


def _at_once(results):
    parts = []
    for count in _submitted(results):
        rows = []
        for case, name, what, seconds in _THOUSAND:
            for _, each in _of_case(results, case):
                if each["parameters"]["units"] != count:
                    continue
                figure, goal = each["figures"][name], seconds if count == 1000 else None
                rows.append([what, _spread(figure), f"below {goal:g}" if goal else "",
                             _verdict(figure["median"], goal, strict=True) if goal else ""])
        parts.append(_section(f"### {count:,} units at once",
                              ["command", "seconds", "goal", "reached"], rows))
    return "\n\n".join(parts)


# --- many units, many clients ---------------------------------------------------------------------

def _batch(results):
    rows = []
    for _, each in _of_case(results, "batch"):
        count, figures = each["parameters"]["units"], each["figures"]
        for registry, what in (("etcd", "etcd, one member"), ("embedded", "embedded")):
            for verb in ("create", "destroy"):
                figure = figures[f"{registry}_{verb}"]
                goal = 3 if (count, verb) == (10_000, "create") else None
                rows.append([f"{count:,}", what, verb, _spread(figure),
                             f"below {goal}" if goal else "",
                             _verdict(figure["median"], goal, strict=True) if goal else ""])
    return _section("### `POST /batch`: N units until all are stored",
                    ["N", "registry", "verb", "seconds", "goal", "reached"], rows)


# Of 1,000 clients and 100 changes a second.
_WATCH_GOALS = (("missing", "changes that a client was not told of", 0, 0),
                ("out_of_order", "changes told out of order", 0, 0),
                ("cpu_percent", "fleetd's CPU, % of a core", 1, 100),
                ("rss_mib", "fleetd's resident memory, MiB", 1, 200),
                ("rss_before_mib", "(before the first change)", 1, None),
                ("delay_median", "from the request for a change until a client has it, s, median", 4,
                 None),
                ("delay_p99", "the same, 99 of 100", 4, None),
                ("own_cpu_percent", "(the clients' own CPU, all in one process, % of a core)", 1,
                 None))


def _watch(results):
    parts = []
    for _, each in _of_case(results, "watch"):
        parameters, figures = each["parameters"], each["figures"]
        judged = (parameters["clients"], parameters["rate"]) == (1000, 100)
        rows = []
        for name, what, digits, goal in _WATCH_GOALS:
            goal = goal if judged or goal == 0 else None
            rows.append([what, _spread(figures[name], digits),
                         "" if goal is None else "0" if goal == 0 else f"below {goal}",
                         "" if goal is None else
                         _verdict(figures[name]["max"], goal, strict=goal > 0)])
        parts.append(_section(
            f"### `/watch` with {parameters['clients']:,} clients, {parameters['rate']} changes a "
            f"second for {parameters['seconds']:g} s",
            ["figure", "min/**median**/max", "goal", "reached"], rows))
    return "\n\n".join(parts)


# --- scheduling decisions -------------------------------------------------------------------------

_CONSTRAINTS = (
    ("none", "none", 3),
    ("metadata", "`MachineMetadata`", 1),
    ("conflicts", "`Conflicts` with its own template", 1),
    ("globs", "`Conflicts` that match nothing", 1),
    ("spread3", "`SpreadOver`, 3 values", 1),
    ("spread50", "`SpreadOver`, 50 values", 1),
    ("reserve90", "`ReserveCPU` and `ReserveMemory`, the last tenth", 1),
    ("within", "`ConflictsWithin` (50 values), `CollocateWithin`", 1),
    ("mix", "all of it mixed", 1),
    ("mix_unschedulable", "and a tenth more that fits nowhere", 1),
)
_SIZES = (100, 1000, 10_000)
_RATIO = 3  # between 10,000 and 100 machines
# (figure, what it is, unit, goal)
_AT_SCALE = (
    ("million:seconds", "a million units of all kinds, made known and placed", "s", 2),
    ("million:memory_MiB", "memory that they take", "MiB", 600),
    ("lose_machine:milliseconds", "one machine lost: its units (some 100) placed anew", "ms", 2),
    ("lose_machine:longest_ms", "the longest of those", "ms", 2),
    ("lose_zone:seconds", "a third of the machines lost: their units placed anew", "s", 1),
)


def _scheduler(results):
    parts = []
    for _, each in _of_case(results, "scheduler"):
        figures = each["figures"]
        rows = []
        for name, what, goal in _CONSTRAINTS:
            speeds = [figures.get(f"place/{name}/{size}", {}).get("median") for size in _SIZES]
            if None in speeds:
                continue
            ratio = speeds[0] / speeds[-1]
            rows.append([what, *(f"{speed / 1e6:.2f}" for speed in speeds), f"{goal:g}",
                         _verdict(-speeds[-1], -goal * 1e6), f"{ratio:.2f}",
                         _verdict(ratio, _RATIO)])
        naive = [figures.get(f"naive/{size}", {}).get("median") for size in _SIZES]
        if None not in naive:
            rows.append(["(the mix, each unit looking at each machine)",
                         *(f"{speed / 1e6:.4f}" for speed in naive), "", "",
                         f"{naive[0] / naive[-1]:.2f}", ""])
        parts.append(_section(
            "### Scheduling decisions: million placements a second, one core (medians)",
            ["constraint", "100 machines", "1,000", "10,000", "goal at 10,000", "reached",
             "ratio 100 to 10,000", f"at most {_RATIO}"], rows))
        rows = [[what, f"{_spread(figures[name], 2)} {unit}", f"below {goal} {unit}",
                 _verdict(figures[name]["median"], goal, strict=True)]
                for name, what, unit, goal in _AT_SCALE if name in figures]
        parts.append(_section("### 10,000 machines, a million units", ["what", "figure", "goal",
                                                                      "reached"], rows))
    return "\n\n".join(part for part in parts if part)


# --- tables ---------------------------------------------------------------------------------------

def _spread(figure, digits=3):
    low, middle, high = (f"{figure[each]:.{digits}f}" for each in ("min", "median", "max"))
    return f"{low}/**{middle}**/{high}"


def _verdict(value, goal, strict=False):
    return _REACHED if value < goal or (value == goal and not strict) else _MISSED


def _section(title, header, rows):
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return title + "\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)
