"""What a run found: as JSON, as text, and the table of several runs."""
import json

from . import measure, plan


def summary(driver, history, seed, seconds):
    """Everything that JSON holds."""
    gaps = measure.interruptions(history)
    failovers = measure.failovers(history)
    return {
        "seed": seed,
        "machines": len(driver.world.machines),
        "etcd": driver.world.current["etcd"],
        "ttl": history.ttl,
        "seconds": round(seconds, 1),
        "units": len({run.unit for run in history.runs}),
        "runs": len(history.runs),
        "orders": len(history.orders),
        "orders_acknowledged": sum(order.acknowledged for order in history.orders),
        "faults": {kind: driver.counts.get(kind, 0) for kind in plan.KINDS},
        "not_made": {**plan.NOT_MADE, **{
            kind: "the run was too short" for kind in plan.KINDS if not driver.counts.get(kind)}},
        "faults_failed": driver.failed,
        "converged_seconds": driver.converged,
        "interruption_max": {kind: round(max(values), 2) for kind, values in sorted(gaps.items())},
        "interruption_count": {kind: len(values) for kind, values in sorted(gaps.items())},
        "failover": {what: measure.spread(values) for what, values in failovers.items()},
        "failover_samples": {what: [round(value, 2) for value in sorted(values)]
                             for what, values in failovers.items()},
        "second_copies": measure.second_copies(history),
        "lost_without_fault": [[machine, round(time, 3)] for machine, time in
                               measure.lost_without_fault(history)],
        "violations": [{"invariant": each.invariant, "time": round(each.time, 3),
                        "text": each.text, "evidence": [str(line) for line in each.evidence]}
                       for each in driver.violations],
    }


def text(found):
    lines = [
        f"seed {found['seed']}: {found['seconds']:.0f} s on {found['machines']} machines with "
        f"{found['etcd']} etcd, TTL {found['ttl']:g} s",
        f"{found['units']} units ran {found['runs']} times; {found['orders']} orders, "
        f"{found['orders_acknowledged']} acknowledged",
        "faults: " + ", ".join(f"{count} {kind}" for kind, count in found["faults"].items()
                               if count),
        "not made: " + "; ".join(f"{kind} ({why})" for kind, why in found["not_made"].items()),
        f"converged after {found['converged_seconds']} s",
        "longest interruption: " + ", ".join(
            f"{kind} {seconds:.1f} s" for kind, seconds in found["interruption_max"].items()),
        "failover (min/median/max): " + ", ".join(
            f"{what} {f['min']:.1f}/{f['median']:.1f}/{f['max']:.1f} s ({f['count']})"
            for what, f in found["failover"].items()),
        f"second copies of units: {found['second_copies']['count']}, stopped at most "
        f"{found['second_copies']['longest_after_return']:.1f} s after their machine was back"]
    if found["faults_failed"]:
        lines += [f"fault failed: {kind}: {why.strip().splitlines()[-1]}"
                  for kind, why in found["faults_failed"]]
    if found["lost_without_fault"]:
        lines.append("leases that ended without a fault: " + ", ".join(
            f"{machine} at {time}" for machine, time in found["lost_without_fault"]))
    for each in found["violations"]:
        lines += [f"VIOLATION of {each['invariant']} at {each['time']}: {each['text']}",
                  *(f"    {line}" for line in each["evidence"])]
    lines.append(f"{len(found['violations'])} violations")
    return "\n".join(lines)


def table(paths):
    """Markdown for docs/reliability.md, of the JSON of several runs."""
    runs = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            runs.append(json.load(file))
    kinds = [kind for kind in plan.KINDS if any(run["faults"].get(kind) for run in runs)]
    other = sorted({kind for run in runs for kind in run["interruption_max"]} - set(kinds))
    not_made = {kind: why for run in runs for kind, why in run["not_made"].items()
                if kind not in kinds}
    lines = [
        "| | real machines |", "| --- | --- |",
        f"| runs (seeds) | {len(runs)} ({', '.join(str(run['seed']) for run in runs)}) |",
        f"| minutes | {sum(run['seconds'] for run in runs) / 60:.0f} |",
        "| machines | " + ", ".join(str(count) for count in
                                    sorted({run["machines"] for run in runs})) + " |",
        f"| runs of units | {sum(run['runs'] for run in runs)} of "
        f"{max(run['units'] for run in runs)} units |",
        f"| faults | {sum(sum(run['faults'].values()) for run in runs)} |",
        f"| violations | {sum(len(run['violations']) for run in runs)} |",
        f"| second copies of units whose machine was cut off | "
        f"{sum(run['second_copies']['count'] for run in runs)} |",
        f"| such a copy was stopped, after its machine was back, within | "
        f"{max(run['second_copies']['longest_after_return'] for run in runs):.1f} s |",
        f"| converged after the last fault within | "
        f"{max(run['converged_seconds'] or 0 for run in runs):.0f} s |",
        "", "| fault | made | longest interruption of a unit |", "| --- | --- | --- |"]
    for kind in [*kinds, *other]:
        count = sum(run["faults"].get(kind, 0) for run in runs)
        longest = max((run["interruption_max"].get(kind, 0) for run in runs), default=0)
        lines.append(f"| {kind} | {count or ''} | {f'{longest:.1f} s' if longest else 'none'} |")
    lines += [f"| {kind} | not made: {why} | |" for kind, why in not_made.items()]
    lines += ["", "| failover, while etcd is well | times | min | median | max |",
              "| --- | --- | --- | --- | --- |"]
    for what in (*measure.FAILOVERS, *measure.LEADERS):
        samples = [value for run in runs for value in run["failover_samples"].get(what, [])]
        if samples:
            row = measure.spread(samples)
            lines.append(f"| {what} | {row['count']} | {row['min']:.1f} s | "
                         f"{row['median']:.1f} s | {row['max']:.1f} s |")
    return "\n".join(lines)
