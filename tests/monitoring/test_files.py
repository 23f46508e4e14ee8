"""The dashboard, the alert rules and the configuration for Prometheus in packaging/monitoring: they
are well formed, name metrics that fleetd has, and alert when they should."""
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "packaging" / "monitoring"
SOURCES = [path for folder in ("base", "store", "host", "engine", "api")
           for path in (ROOT / "src" / folder).glob("*.cc") if not path.stem.endswith("_test")]
RULES_TESTS = sorted(Path(__file__).parent.glob("rules*_test.yml"))
# Prometheus' own.
OF_PROMETHEUS = {"up"}
PARTS_OF_HISTOGRAMS = re.compile(r"_(bucket|sum|count)$")


def dashboard():
    return json.loads((FILES / "grafana-dashboard.json").read_text())


def dashboard_expressions():
    return [target["expr"] for panel in dashboard()["panels"]
            for target in panel.get("targets", [])]


def rule_expressions():
    text = (FILES / "fleet.rules.yml").read_text()
    parts = re.findall(r"^( +)expr:(.*(?:\n\1 +.*)*)", text, re.MULTILINE)
    assert len(parts) == text.count("- alert:")
    return [expression for _, expression in parts]


def names_in(expression):
    """The metrics that an expression of PromQL names."""
    bare = re.sub(r"\{[^}]*\}", "", expression)
    bare = re.sub(r"\b(by|on|without) *\([^)]*\)", "", bare)
    return {name for name in re.findall(r"\b[a-z_]+\b(?! *\()", bare)
            if name.startswith(("fleet_", "process_", "up"))}


def metrics_of_fleetd():
    return {name for path in SOURCES
            for name in re.findall(r'"((?:fleet|process)_[a-z_]+)"', path.read_text())}


def promtool(*arguments):
    done = subprocess.run(["promtool", *map(str, arguments)], text=True, capture_output=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("kind, expressions", [
    ("dashboard", dashboard_expressions()), ("rules", rule_expressions())])
def test_each_metric_that_is_asked_for_is_one_that_fleetd_has(kind, expressions):
    named = set().union(*map(names_in, expressions))
    assert len(named) > 5, kind
    known = metrics_of_fleetd() | OF_PROMETHEUS
    assert {name for name in named
            if name not in known and PARTS_OF_HISTOGRAMS.sub("", name) not in known} == set()


def test_each_metric_that_fleetd_has_is_on_the_dashboard():
    shown = {PARTS_OF_HISTOGRAMS.sub("", name)
             for expression in dashboard_expressions() for name in names_in(expression)}
    assert metrics_of_fleetd() - shown == {"process_max_fds", "process_virtual_memory_bytes"}


def test_each_metric_is_documented():
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert {name for name in metrics_of_fleetd() if name not in text} == set()


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_prometheus_takes_the_configuration_with_its_rules():
    assert "23 rules found" in promtool("check", "config", FILES / "prometheus.yml")


@pytest.mark.parametrize("tests", RULES_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_not_before(tests):
    promtool("test", "rules", tests)


def test_each_alert_has_a_test():
    alerts = set(re.findall(r"alert: (\w+)", (FILES / "fleet.rules.yml").read_text()))
    tested = {alert for path in RULES_TESTS
              for alert in re.findall(r"alertname: (\w+)\n +exp_alerts:\n", path.read_text())}
    assert alerts == tested


def test_decisions_still_give_the_reasons_that_metrics_know():
    said = "".join(path.read_text() for folder in ("reconcile", "scheduler")
                   for path in (ROOT / "src" / folder).glob("*.cc")
                   if not path.stem.endswith("_test"))
    phrases = re.findall(r'Class\{"([^"]+)",',
                         (ROOT / "src" / "engine" / "event_reason.cc").read_text())
    assert len(phrases) > 10
    assert [phrase for phrase in phrases if phrase not in said] == []
