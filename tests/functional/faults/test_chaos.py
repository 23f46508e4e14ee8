"""lab/chaos itself: a minute of everything at random; five with FLEET_LONG=1."""
import json
import os
import secrets
import subprocess

import pytest
from cluster import BIN, ROOT

CHAOS = str(ROOT / "lab" / "chaos")


def run(minutes, seed, tmp_path):
    done = subprocess.run(
        [CHAOS, "--minutes", str(minutes), "--seed", str(seed), "--bin", str(BIN), "--name",
         f"fc-{secrets.token_hex(4)}", "--records", str(tmp_path / "records"), "-o", "json"],
        capture_output=True, text=True, timeout=minutes * 60 + 300, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["violations"] == [] and done.returncode == 0, json.dumps(found, indent=1)
    assert found["faults_failed"] == []
    return found


@pytest.fixture(autouse=True)
def possible():
    if os.geteuid() != 0:
        pytest.skip("the lab needs root")
    if not (BIN / "fleetd").exists():
        pytest.skip(f"fleet is not built in {BIN}")


def test_a_minute_of_chaos_breaks_no_promise(tmp_path):
    found = run(1, 1, tmp_path)
    assert sum(found["faults"].values()) >= 5 and found["runs"] > found["units"]
    done = subprocess.run([CHAOS, "--judge", str(tmp_path / "records")], capture_output=True,
                          text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0 violations\n")
    done = subprocess.run([CHAOS, "--table", str(tmp_path / "records" / "summary.json")],
                          capture_output=True, text=True, check=True)
    assert "| violations | 0 |" in done.stdout and "| clock step | not made" in done.stdout


def test_records_that_lack_a_reason_are_judged_so(tmp_path):
    """What fleet decided is taken out of the records: every stop is unexplained then."""
    run(0.5, 3, tmp_path)
    records = tmp_path / "records"
    registry = records / "registry.jsonl"
    lines = [line for line in registry.read_text().splitlines(keepends=True)
             if json.loads(line)["state"] != 2]
    registry.write_text("".join(lines))
    done = subprocess.run([CHAOS, "--judge", str(records)], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and "S3 at" in done.stdout


@pytest.mark.long
def test_five_minutes_of_chaos_break_no_promise(tmp_path):
    run(5, 2, tmp_path)


def test_what_is_no_kind_of_fault_is_refused():
    done = subprocess.run([CHAOS, "--only", "earthquake"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "earthquake" in done.stderr
