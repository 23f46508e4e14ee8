"""Debian's Prometheus, on the host, finds the machines of a lab through /sd/prometheus, scrapes all of
them with the configuration and the rules that fleet ships, and an alert fires."""
import contextlib
import json
import socket
import subprocess
import urllib.parse
import urllib.request

import pytest
from cluster import ROOT, service, wait_for

LAB = {"metadata": ["m1:zone=a", "m2:zone=b", "m3:zone=b"]}
FILES = ROOT / "packaging" / "monitoring"
PORT = 49153


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def prometheus(lab):
    """A Prometheus with the shipped files, quicker than they are. Yields a function: path and
    parameters of its API → data."""
    config = (FILES / "prometheus.yml").read_text()
    for old, new in {"fleet1.example": lab.ip["m1"], "fleet2.example": lab.ip["m2"],
                     "refresh_interval: 30s": "refresh_interval: 1s",
                     "interval: 15s": "interval: 1s"}.items():
        assert old in config
        config = config.replace(old, new)
    rules = (FILES / "fleet.rules.yml").read_text().replace("for: 1m\n", "for: 1s\n")
    (lab.files / "prometheus.yml").write_text(config)
    (lab.files / "fleet.rules.yml").write_text(rules)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with open(lab.files / "prometheus.log", "wb") as log, subprocess.Popen(
            ["prometheus", f"--config.file={lab.files}/prometheus.yml",
             f"--storage.tsdb.path={lab.files}/prometheus", f"--web.listen-address={address}"],
            stdout=log, stderr=log) as process:
        def ask(path, **parameters):
            answer = json.loads(get(f"http://{address}/api/v1/{path}?"
                                    f"{urllib.parse.urlencode(parameters)}"))
            assert answer["status"] == "success", answer
            return answer["data"]

        def is_up():
            with contextlib.suppress(OSError):
                return "ok" if ask("query", query="vector(1)") else None
            assert process.poll() is None, (lab.files / "prometheus.log").read_text()
            return None
        try:
            wait_for(is_up, lambda: (lab.files / "prometheus.log").read_text())
            yield ask
        finally:
            process.terminate()


def value(ask, query):
    """Of a query with one result; None if it has none."""
    results = ask("query", query=query)["result"]
    return float(results[0]["value"][1]) if results else None


def test_what_a_machine_says_is_what_promtool_asks_of_metrics(lab):
    lab.start("a.service")
    lab.ctl("stop", "a.service")
    for machine in lab.machines:
        text = get(f"http://{lab.ip[machine]}:{PORT}/metrics")
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), machine
        for sample in ('fleet_store_requests_total{kind="commit",result="ok"} ',
                       "process_resident_memory_bytes "):
            assert f"\n{sample}" in text, sample


@pytest.mark.machines(3)
def test_prometheus_finds_and_scrapes_every_machine_and_alerts_on_a_unit_that_fails(lab):
    lab.start("a.service")
    lab.file("bad.service", service("ExecStart=/bin/false"))
    lab.file("nowhere.service", service(fleet=["MachineMetadata=zone=moon"]))
    with prometheus(lab) as ask:
        def machines_that_are_up():
            return {result["metric"]["machine"]: result["metric"]
                    for result in ask("query", query='up{job="fleet"} == 1')["result"]}
        wait_for(lambda: set(machines_that_are_up()) == set(lab.id.values()),
                 lambda: f"{ask('targets')}")
        up = machines_that_are_up()
        assert {lab.of_id[machine]: (labels["zone"], labels["instance"])
                for machine, labels in up.items()} == {
                    "m1": ("a", f"{lab.ip['m1']}:{PORT}"), "m2": ("b", f"{lab.ip['m2']}:{PORT}"),
                    "m3": ("b", f"{lab.ip['m3']}:{PORT}")}
        assert len(ask("targets")["activeTargets"]) == 3, "each once, though two machines name it"

        # The cluster, from any machine; the engine's, from the one that leads.
        wait_for(lambda: value(ask, "sum(fleet_engine_leads)") == 1, "one leader")
        wait_for(lambda: value(ask, 'max(fleet_unit_copies{assigned="launched",'
                                    'active_state="active"})') == 1, "a unit that is active")
        assert value(ask, 'sum(fleet_engine_placements_total{reason="scheduled"})') >= 1
        assert value(ask, "sum(fleet_machine_units)") == 1
        assert value(ask, 'sum(fleet_agent_jobs_total{kind="start",result="done"})') >= 1
        assert value(ask, "count(fleet_mirror_lag_seconds == 0)") == 3
        assert value(ask, 'sum(fleet_store_requests_total{kind="commit",result="ok"})') >= 1

        def firing():
            return {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"]
                    if alert["state"] == "firing"}
        assert "FleetUnitsFailed" not in firing()
        lab.ctl("start", "--no-block", "bad.service", "nowhere.service")
        wait_for(lambda: "FleetUnitsFailed" in firing(), lambda: f"{ask('alerts')}")
        wait_for(lambda: value(ask, "max(fleet_units_waiting)") == 1, "a unit that waits")

        # A machine that goes away is in no list any more; the others tell.
        lab.run("m3", "systemctl", "stop", "fleet", "fleet.socket", status=None)
        wait_for(lambda: {"FleetMachineLost"} <= firing(), lambda: f"{ask('alerts')}")
        wait_for(lambda: set(machines_that_are_up()) == {lab.id["m1"], lab.id["m2"]}, "two targets")
        lab.run("m3", "systemctl", "start", "fleet.socket", "fleet")
        wait_for(lambda: set(machines_that_are_up()) == set(lab.id.values()), "three again")
