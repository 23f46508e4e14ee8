#!/usr/bin/python3 -I
"""What ./demo shows, once everything is installed and built: scripts/demo.py cluster|single|down.
Everything shown is checked as well; exit status 0 if it was as it should be."""
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build/release/bin")
LAB = os.path.join(ROOT, "lab/lab")
NAME = "demo"
HELLO = "hello.service"
MYSQL = ["mysql.1.service", "mysql.2.service", "mysql.3.service"]
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


class DemoError(Exception):
    """Something is not as it should be; the message says what."""


# --- talking ---------------------------------------------------------------------------------------

def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def headline(text):
    print(f"\n{paint('1', '== ' + text)}", flush=True)


def say(text):
    print(text, flush=True)


def check(what, good, instead=""):
    """Says that `what` holds, or ends the demo."""
    if not good:
        raise DemoError(f"not so: {what}" + (f"\n{instead}" if instead else ""))
    say(f"{paint('32', '✓')} {what}")


# --- running ---------------------------------------------------------------------------------------

def run(*command, env=None):
    """Runs a command with its output on the terminal; ends the demo if it fails."""
    status = subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
    if status != 0:
        raise DemoError(f"`{' '.join(command)}` failed with status {status}")


def succeeds(*command):
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL).returncode == 0


class Fleet:
    """fleetctl, talking to the demo's cluster."""

    def __init__(self, environment):
        self.environment = {**os.environ, **environment,
                            "PATH": BIN + ":" + os.environ.get("PATH", "/usr/bin:/bin")}

    def call(self, *arguments, timeout=90):
        return subprocess.run(["fleetctl", *arguments], cwd=ROOT, env=self.environment, text=True,
                              capture_output=True, timeout=timeout, check=False)

    def show(self, *arguments, statuses=(0,)):
        """Runs fleetctl as a user would see it, and returns what it printed on stdout."""
        say(paint("36", "$ fleetctl " + " ".join(arguments)))
        done = self.call(*arguments)
        say((done.stdout + done.stderr).rstrip())
        if done.returncode not in statuses:
            raise DemoError(f"fleetctl {arguments[0]} ended with status {done.returncode}")
        return done.stdout

    def read(self, *arguments):
        """The entities that a list command gives as JSON, or None while it cannot."""
        done = self.call(*arguments, "-o", "json", timeout=30)
        return json.loads(done.stdout) if done.returncode == 0 and done.stdout else None

    def wait(self, what, condition, seconds=60):
        """Waits until condition(snapshot) holds. Conflicts are watched meanwhile."""
        start = time.monotonic()
        snapshot = None
        while time.monotonic() - start < seconds:
            snapshot = self.snapshot() or snapshot
            if snapshot and condition(snapshot):
                check(f"{what} ({time.monotonic() - start:.1f} s)", True)
                return snapshot
            time.sleep(0.3)
        raise DemoError(f"not so after {seconds} s: {what}\n{snapshot}")

    def snapshot(self):
        """What fleet says now, or None while no machine answers."""
        machines = self.read("list-machines")
        units = self.read("list-unit-files")
        states = self.read("list-units")
        if machines is None or units is None or states is None:
            return None
        snapshot = Snapshot(machines, units, states)
        violated = snapshot.violated_conflicts()
        if violated:
            raise DemoError(f"a conflict is violated: {violated}")
        return snapshot


class Snapshot:
    """Machines and units as they were at one moment."""

    def __init__(self, machines, units, states):
        self.hosts = {machine["id"]: machine["hostname"] for machine in machines}
        self.units = {unit["name"]: unit for unit in units}
        self.active = {(state["name"], state["machineID"]) for state in states
                       if state["systemdActiveState"] == "active"}

    def where(self, name):
        """The hosts where a unit is active."""
        return sorted(self.hosts.get(machine, machine)
                      for unit, machine in self.active if unit == name)

    def host(self, name):
        """The one host where a unit is active, or None."""
        hosts = self.where(name)
        return hosts[0] if len(hosts) == 1 else None

    def placed(self, name):
        return bool(self.units.get(name, {}).get("machineID"))

    def reason(self, name):
        """Why a unit is not placed."""
        return self.units.get(name, {}).get("reason", "")

    def waits(self, name):
        return not self.placed(name) and not self.where(name) and self.reason(name)

    def all_run(self, names):
        return all(self.host(name) for name in names)

    def violated_conflicts(self):
        """Machines with two units that are never to share one."""
        machines = [machine for unit, machine in self.active if unit in MYSQL]
        return sorted({machine for machine in machines if machines.count(machine) > 1})

    def __str__(self):
        lines = [f"  machines: {', '.join(sorted(self.hosts.values()))}"]
        lines += [f"  {name}: {', '.join(self.where(name)) or 'nowhere'} {self.reason(name)}"
                  for name in sorted(self.units)]
        return "\n".join(lines)


# --- three machines --------------------------------------------------------------------------------

def lab(verb, *arguments, fleet=None):
    """Runs a verb of the lab; `fleet` is watched meanwhile."""
    say(paint("36", f"$ lab/lab {verb} --name {NAME} {' '.join(arguments)}".rstrip()))
    with subprocess.Popen([LAB, verb, "--name", NAME, *arguments], cwd=ROOT) as running:
        while running.poll() is None:
            if fleet:
                fleet.snapshot()
            time.sleep(0.2)
    if running.returncode != 0:
        raise DemoError(f"lab/lab {verb} failed with status {running.returncode}")


def lab_environment():
    done = subprocess.run([LAB, "env", "--name", NAME, "-o", "json"], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"lab/lab env: {done.stderr.strip()}")
    return json.loads(done.stdout)


def bring_up():
    headline("Three machines, each with systemd, sshd and fleetd; etcd beside them")
    run(LAB, "down", "--name", NAME)
    lab("up", "--machines", "3", "--metadata", "m1:zone=a", "--metadata", "m2:zone=b",
        "--metadata", "m3:zone=c")
    fleet = Fleet(lab_environment())
    fleet.wait("the cluster has three machines", lambda now: len(now.hosts) == 3)
    fleet.show("list-machines")
    return fleet


def start_units(fleet):
    headline("A service, and three that must not share a machine (X-Conflicts=mysql*.service)")
    out = fleet.show("start", f"examples/hello/{HELLO}")
    check("fleetctl says where hello.service was launched",
          f"Unit {HELLO} launched on " in out, out)
    fleet.show("start", *[f"examples/mysql/{name}" for name in MYSQL])
    now = fleet.wait("all four run", lambda now: now.all_run([HELLO, *MYSQL]))
    check("each mysql has a machine of its own",
          len({now.host(name) for name in MYSQL}) == len(MYSQL), str(now))
    fleet.show("list-units")
    return now


def look_at(fleet, name, host):
    headline("Looking at a unit, wherever it runs")
    check("status shows it active", "active (running)" in fleet.show("status", name))
    journal = fleet.show("journal", "--lines", "3", name)
    check("journal shows what it says", "Hello from" in journal, journal)
    shown = fleet.show("ssh", name, "hostname").strip()
    check(f"ssh reaches its machine, {host}", shown == host, shown)


def reboot(fleet, host):
    headline(f"Rebooting {host}: it hands its units over first")
    lab("reboot", host, fleet=fleet)
    now = fleet.wait("it is back, and all four run again",
                     lambda now: len(now.hosts) == 3 and now.all_run([HELLO, *MYSQL]), 90)
    check(f"{HELLO} has moved off it", now.host(HELLO) != host, str(now))
    check("each mysql has a machine of its own",
          len({now.host(name) for name in MYSQL}) == len(MYSQL), str(now))
    fleet.show("list-units")
    return now


def power_loss(fleet, before):
    """Power loss where hello runs: hello moves, the mysql there has nowhere to go and waits."""
    victim = before.host(HELLO)
    stranded = next(name for name in MYSQL if before.host(name) == victim)
    others = [name for name in MYSQL if name != stranded]
    headline(f"Power loss of {victim}, where {HELLO} and {stranded} run")
    lab("crash", victim, fleet=fleet)
    now = fleet.wait(f"{HELLO} runs elsewhere, {stranded} waits",
                     lambda now: len(now.hosts) == 2 and now.host(HELLO) and now.waits(stranded))
    check(f"{stranded} waits because of its conflicts", "conflict" in now.reason(stranded).lower(),
          now.reason(stranded))
    check("the others stayed where they were",
          all(now.host(name) == before.host(name) for name in others), f"{before}\n{now}")
    fleet.show("list-machines")
    fleet.show("list-units")
    fleet.show("list-unit-files")
    say(f"why {stranded} is nowhere: {now.reason(stranded)}")

    headline(f"Power returns to {victim}")
    lab("boot", victim, fleet=fleet)
    fleet.wait(f"{stranded} runs there again",
               lambda now: now.host(stranded) == victim and now.all_run([HELLO, *MYSQL]), 90)
    fleet.show("list-units")


def demo_cluster():
    fleet = bring_up()
    now = start_units(fleet)
    look_at(fleet, HELLO, now.host(HELLO))
    now = reboot(fleet, now.host(HELLO))
    power_loss(fleet, now)
    say(f"""
The cluster is up. Go on playing with it:
  export PATH={BIN}:$PATH
  eval "$({LAB} env --name {NAME})"
  fleetctl list-units; fleetctl journal -f hello; {LAB} crash --name {NAME} m1
and take it down with: ./demo down""")


# --- one machine -----------------------------------------------------------------------------------

class Single:
    """fleetd with the embedded registry, beside this host's systemd: root's or the user's."""

    UNIT = "fleet-demo"

    def __init__(self):
        self.is_root = os.getuid() == 0
        runtime = "/run" if self.is_root else os.environ.get("XDG_RUNTIME_DIR",
                                                             f"/run/user/{os.getuid()}")
        self.directory = os.path.join(runtime, self.UNIT)
        self.socket = os.path.join(runtime, f"{self.UNIT}.sock")
        self.manager = [] if self.is_root else ["--user"]

    def up(self):
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        config = os.path.join(self.directory, "fleet.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"units_directory={self.directory}/units/\n"
                       f"state_directory={self.directory}/state/\n"
                       f"systemd_user={'false' if self.is_root else 'true'}\n")
        command = ["systemd-run", *self.manager, "--quiet", "--collect", f"--unit={self.UNIT}",
                   f"--socket-property=ListenStream={self.socket}",
                   "--socket-property=SocketMode=0600", "--socket-property=RemoveOnStop=yes",
                   "--property=Type=notify", "--property=KillMode=process",
                   f"{BIN}/fleetd", "--config", config]
        say(paint("36", "$ " + " ".join(command)))
        run(*command)
        return Fleet({"FLEETCTL_ENDPOINT": f"unix://{self.socket}"})

    def exists(self):
        return os.path.isdir(self.directory)

    def restart(self):
        run("systemctl", *self.manager, "restart", f"{self.UNIT}.service")

    def main_pid(self, unit):
        return subprocess.run(["systemctl", *self.manager, "show", "--property=MainPID", "--value",
                               unit], text=True, capture_output=True, check=False).stdout.strip()

    def down(self):
        if self.exists() and os.path.exists(os.path.join(BIN, "fleetctl")):
            Fleet({"FLEETCTL_ENDPOINT": f"unix://{self.socket}"}).call("destroy", HELLO, *MYSQL)
        succeeds("systemctl", *self.manager, "stop", f"{self.UNIT}.socket", f"{self.UNIT}.service",
                 HELLO, *MYSQL)
        shutil.rmtree(self.directory, ignore_errors=True)


def demo_single():
    single = Single()
    headline(f"One machine: fleetd on the embedded registry, "
             f"beside {'the' if single.is_root else 'your own'} systemd")
    single.down()
    fleet = single.up()
    fleet.wait("the machine is there", lambda now: len(now.hosts) == 1)
    fleet.show("list-machines")

    headline("A service, and three that must not share a machine (X-Conflicts=mysql*.service)")
    fleet.show("start", f"examples/hello/{HELLO}")
    fleet.show("start", f"examples/mysql/{MYSQL[0]}")
    fleet.show("start", "--no-block", *[f"examples/mysql/{name}" for name in MYSQL[1:]])
    now = fleet.wait("the first mysql runs, the others wait",
                     lambda now: now.all_run([HELLO, MYSQL[0]]) and
                     all(now.waits(name) for name in MYSQL[1:]))
    fleet.show("list-units")
    fleet.show("list-unit-files")
    say(f"why {MYSQL[1]} is nowhere: {now.reason(MYSQL[1])}")
    look_at(fleet, HELLO, os.uname().nodename)

    headline("Restarting fleetd: what runs keeps running")
    pid = single.main_pid(HELLO)
    single.restart()
    fleet.wait("fleetd answers, all run as before",
               lambda now: now.all_run([HELLO, MYSQL[0]]))
    check(f"{HELLO} is still process {pid}", single.main_pid(HELLO) == pid)

    headline(f"Destroying {MYSQL[0]}: one of those that wait takes its place")
    fleet.show("destroy", MYSQL[0])
    fleet.wait("another mysql runs", lambda now: any(now.host(name) for name in MYSQL[1:]))
    fleet.show("list-units")
    say(f"""
fleetd is up. Go on playing with it:
  export PATH={BIN}:$PATH FLEETCTL_ENDPOINT=unix://{single.socket}
  fleetctl list-units; fleetctl journal -f hello
and take it down with: ./demo down""")


# --- taking it down ---------------------------------------------------------------------------------

def down():
    if os.getuid() == 0 and shutil.which("nft"):  # otherwise there never was a lab here
        run(LAB, "down", "--name", NAME)
    single = Single()
    if single.exists():
        single.down()
    say("The demo is down.")


def main(form):
    start = time.monotonic()
    try:
        {"cluster": demo_cluster, "single": demo_single, "down": down}[form]()
        if form != "down":
            say(f"\nEverything was as it should be ({time.monotonic() - start:.0f} s).")
    except (DemoError, subprocess.TimeoutExpired) as error:
        sys.stdout.flush()
        print(f"{paint('31', '✗')} {error}\n"
              "What the demo made is still there for a look; ./demo down takes it away.",
              file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
