"""src/host against a real systemd: runs host_systemd_test inside a machine of the lab.

Needs root and a build; FLEET_BIN names the folder of the programs (default: build/release/bin).
"""
import os
import secrets
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = str(ROOT / "lab" / "lab")
BINARY = Path(os.environ.get("FLEET_BIN", ROOT / "build/release/bin")) / "host_systemd_test"
PROGRAM = "/root/host_systemd_test"  # in the machine

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
    pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built"),
]


@pytest.fixture(scope="module")
def machine():
    """Runs a command in a machine without fleetd, with the test program on its disk."""
    name = f"host-{secrets.token_hex(4)}"

    def run(*command, check=True, **options):
        return subprocess.run([LAB, "exec", "--name", name, "m1", "--", *command], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=check,
                              timeout=600, **options)

    def lab(verb):
        subprocess.run([LAB, verb, "--name", name, "m1"], check=True, timeout=180)

    run.lab = lab
    try:
        subprocess.run([LAB, "up", "--name", name, "--machines", "1", "--no-fleet",
                        "--etcd", "none"], check=True, timeout=300)
        with BINARY.open("rb") as program:
            run("sh", "-c", f"cat > {PROGRAM} && chmod +x {PROGRAM}", stdin=program)
        yield run
    finally:
        subprocess.run([LAB, "down", "--name", name], check=True, timeout=180)


def program_tests():
    if not BINARY.exists():
        return []
    listed = subprocess.run([BINARY, "--gtest_list_tests"], capture_output=True, text=True,
                            check=True, timeout=60).stdout
    tests, suite = [], ""
    for line in listed.splitlines():
        test = line.split("#")[0].rstrip()
        if test.startswith("  "):
            tests.append(suite + test.strip())
        elif test.endswith("."):
            suite = test
    return tests


@pytest.mark.parametrize("test", program_tests())
def test_program(machine, test):
    result = machine(PROGRAM, f"--gtest_filter={test}", "--gtest_brief=1", check=False)
    assert result.returncode == 0, result.stdout


def test_a_service_knows_that_the_machine_shuts_down(machine):
    machine("systemd-run", "--quiet", "--unit=probe", "--service-type=notify",
            PROGRAM, "--own-job", "/root/answer")
    machine.lab("poweroff")
    machine.lab("boot")
    assert machine("cat", "/root/answer").stdout == "shutdown\n"
