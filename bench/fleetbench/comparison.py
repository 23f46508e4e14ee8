"""Ours beside what other systems needed, measured earlier on a machine of the same kind."""

# N: plain systemd, fleet 1.0, Docker Swarm, Pacemaker
_START = {
    1: ("0.03", "3.2", "0.63; 0.45", "0.19"),
    10: ("0.06", "3.8", "3.0; 1.1", "1.2"),
    100: ("0.39", "3.8 to 4.0", "17.5; 8.4", "47 to 61"),
    500: ("2.1", "10.9", "", ""),
    1000: ("5.4", "26.2", "", ""),
}
_DESTROY = {1: ("", "3.7"), 10: ("", "18.8"), 100: ("0.29", "162"),
            500: ("2.0", "about 840"), 1000: ("4.0", "")}
_FAILOVER = (
    ("fleet 1.0", "agent_ttl 30 s (its default)", "19.4/**20.0**/31.9"),
    ("fleet 1.0", "agent_ttl 5 s, leader lost", "11.4/**11.5**/12.0"),
    ("Docker Swarm", "heartbeat 5 s (its default)", "15.4/**15.7**/17.8"),
    ("Docker Swarm", "heartbeat 1 s", "6.7/**8.0**/8.2"),
    ("Pacemaker", "token 3.65 s (its default)", "8.8/**8.9**/9.8"),
    ("Pacemaker", "token 1 s", "3.3/**4.4**/4.4"),
)
_IDLE = (
    ("fleet 1.0", "500", "22 / 2.8", "19", "92", "76"),
    ("Docker Swarm", "100", "2.1 to 2.8", "590 to 617, with 33 shims", "", ""),
    ("Pacemaker", "100", "0.8", "209 to 264", "", ""),
)
_DECISIONS = (
    ("Kubernetes, scheduler_perf's thresholds", "5,000", "810; with topology spread 460, with "
     "anti-affinity 60"),
    ("Nomad, C1M and C2M", "5,000; 6,100", "3,750; 1,500"),
    ("Pacemaker, crm_simulate, on such a machine", "100", "990 (1,000 resources)"),
)
_LATENCY = (("list_units", "list-units", "0.166"), ("list_unit_files", "list-unit-files", "0.404"))


def sections(results, table):
    """Markdown sections; `table(title, header, rows)` makes one."""
    parts = [_start(results, table), _destroy(results, table), _failover(results, table),
             _idle(results, table), _latency(results, table), _decisions(results, table)]
    return [part for part in parts if part]


def _medians(results, case, name, per="units"):
    return {each["parameters"].get(per): each["figures"][name]["median"]
            for each in results.values() if each["case"] == case and name in each["figures"]}


def _seconds(value):
    return "" if value is None else f"**{value:.3f}**" if value < 1 else f"**{value:.2f}**"


def _start(results, table):
    active, returned = (_medians(results, "start", name) for name in ("active", "returned"))
    rows = [[str(count), _seconds(active.get(count)), _seconds(returned.get(count)), *others]
            for count, others in _START.items()] if active else []
    return table("### Beside others: starting N services, seconds (medians)",
                 ["N", "fleet: all active", "fleetctl returned", "systemd of one machine, alone",
                  "fleet 1.0", "Docker Swarm 20.10: containers; with host network",
                  "Pacemaker 2.1"], rows)


def _destroy(results, table):
    gone = _medians(results, "destroy", "gone")
    rows = [[str(count), _seconds(gone.get(count)), *others]
            for count, others in _DESTROY.items()] if gone else []
    return table("### Beside others: destroying them, seconds",
                 ["N", "fleet", "systemd of one machine, alone", "fleet 1.0"], rows)


def _failover(results, table):
    rows = [[f"**fleet**, {what}", f"agent_ttl {ttl:g} s", f"**{value:.1f}**"]
            for name, what in (("not_leader", "another machine lost"), ("leader", "leader lost"))
            for ttl, value in sorted(_medians(results, "failover", name, "ttl").items())]
    return table("### Beside others: failover, seconds", ["system", "setting", "power loss until "
                                                          "active elsewhere"],
                 [*rows, *(list(row) for row in _FAILOVER)] if rows else [])


def _idle(results, table):
    rows = []
    for each in results.values():
        if each["case"] == "idle":
            figures, seconds = each["figures"], each["parameters"]["seconds"]
            rows.append(["**fleet**", str(each["parameters"]["units"]),
                         f"**{figures['cpu_percent_max']['median']:.2f}** (the busiest)",
                         f"**{figures['rss_mib_max']['median']:.0f}**",
                         f"**{figures['store_range_reads']['median'] / seconds:.0f}**",
                         f"**{figures['store_writes']['median'] / seconds:.0f}**"])
    return table("### Beside others: idle", ["system", "units", "CPU % per machine (leader first)",
                                             "resident memory, MiB (others: MB)", "store reads/s",
                                             "store writes/s"],
                 [*rows, *(list(row) for row in _IDLE)] if rows else [])


def _latency(results, table):
    rows = []
    for name, command, earlier in _LATENCY:
        found = _medians(results, "latency", name)
        rows += [[command, str(count), f"**{value:.3f}**", earlier if count == 500 else ""]
                 for count, value in sorted(found.items())]
    return table("### Beside others: latency, seconds (medians)",
                 ["command", "units", "fleet", "fleet 1.0"], rows)


def _decisions(results, table):
    rows = []
    for each in results.values():
        figures = each["figures"] if each["case"] == "scheduler" else {}
        for name, what in (("none", "no constraint"), ("mix", "mixed constraints")):
            figure = figures.get(f"place/{name}/10000")
            if figure:
                rows.append([f"**fleet**, {what}", "10,000", f"**{figure['median']:,.0f}**"])
    return table("### Beside others: scheduling decisions a second",
                 ["system", "machines", "a second"],
                 rows + [list(row) for row in _DECISIONS] if rows else [])
