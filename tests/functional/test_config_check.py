"""fleet.conf as `fleetd --check-config` reads it: every key, form and mistake."""
import os
import subprocess

import pytest
from cluster import BIN


def fleetd(*arguments, **environment):
    return subprocess.run([str(BIN / "fleetd"), *map(str, arguments)], env=environment, text=True,
                          capture_output=True, timeout=60, check=False)


@pytest.fixture(name="check")
def checker(tmp_path):
    """Checks a configuration with these lines; the result has the values as `shown`."""
    def check(*lines, **environment):
        path = tmp_path / "fleet.conf"
        path.write_text("\n".join(lines) + "\n")
        done = fleetd("--check-config", "--config", path, **environment)
        done.shown, done.origin = {}, {}
        for line in done.stdout.splitlines():
            setting, done_origin = line.rsplit("# ", 1)
            key, value = setting.split("=", 1)
            done.shown[key], done.origin[key] = value.strip(), done_origin
        return done
    check.path = tmp_path / "fleet.conf"
    return check


# Each key: a value that is not the default, and how it is shown.
KEYS = {
    "verbosity": ("1", "1"),
    "etcd_servers": ("http://10.0.0.1:2379,http://10.0.0.2",
                     '["http://10.0.0.1:2379", "http://10.0.0.2:2379"]'),
    "etcd_key_prefix": ("/_coreos.com/fleet/", "/_coreos.com/fleet/"),
    "etcd_request_timeout": ("2.5", "2.5"),
    "etcd_cafile": ("/etc/hostname", "/etc/hostname"),
    "etcd_certfile": ("/etc/hostname", "/etc/hostname"),
    "etcd_keyfile": ("/etc/hostname", "/etc/hostname"),
    "etcd_username": ("root", "root"),
    "etcd_password": ("secret", "(not shown)"),
    "public_ip": ("192.0.2.1", "192.0.2.1"),
    "metadata": ("zone=1,region=us", "region=us,zone=1"),
    "agent_ttl": ("1m30s", "1m30s"),
    "engine_reconcile_interval": ("0.5", "0.5"),
    "token_limit": ("50", "50"),
    "disable_engine": ("true", "true"),
    "disable_watches": ("true", "true"),
    "enable_grpc": ("true", "true"),
    "units_directory": ("/run/other", "/run/other/"),
    "systemd_user": ("true", "true"),
    "authorized_keys_file": ("/root/keys", "/root/keys"),
    "verify_units": ("true", "true"),
    "listen": ("127.0.0.1:49153,127.0.0.1:49154", '["127.0.0.1:49153", "127.0.0.1:49154"]'),
    "listen_insecure": ("true", "true"),
    "listen_cafile": ("/etc/hostname", "/etc/hostname"),
    "listen_certfile": ("/etc/hostname", "/etc/hostname"),
    "listen_keyfile": ("/etc/hostname", "/etc/hostname"),
    "state_directory": ("/var/lib/other", "/var/lib/other/"),
    "engine_ttl": ("20s", "20s"),
    "mass_loss_hold": ("5m", "5m"),
    "isolation_stop_timeout": ("10s", "10s"),
    "leave_timeout": ("2m", "2m"),
    "events_max": ("100", "100"),
    "disruption_budget": ("25%", "25%"),
    "capacity_cpu": ("350%", "3.5"),
    "capacity_memory": ("2.5G", "2560M"),
    "reserved_cpu": ("50%", "0.5"),
    "reserved_memory": ("1536K", "1536K"),
    "placement": ("pack", "pack"),
    "rebalance": ("auto", "auto"),
    "drift": ("restore", "restore"),
    "reboot_slots": ("2", "2"),
}


def test_every_key_is_read_and_shown_with_its_line(check):
    done = check(*(f"{key}={value}" for key, (value, _) in KEYS.items()))
    assert done.returncode == 0, done.stderr
    assert done.shown == {key: shown for key, (_, shown) in KEYS.items()}
    assert done.origin == {key: f"{check.path}:{number}" for number, key in enumerate(KEYS, 1)}


def test_every_key_is_taken_from_the_environment_which_wins(check):
    done = check(*("etcd_servers=http://192.0.2.9:2379", "agent_ttl=5s", "verbosity=3"),
                 **{f"FLEET_{key.upper()}": value for key, (value, _) in KEYS.items()})
    assert done.returncode == 0, done.stderr
    assert done.shown == {key: shown for key, (_, shown) in KEYS.items()}
    assert set(done.origin.values()) == {"environment"}


def test_the_defaults_are_those_that_are_documented(check):
    done = check()
    assert done.returncode == 0, done.stderr
    assert set(done.shown) == set(KEYS) and set(done.origin.values()) == {"default"}
    documented = {
        "etcd_servers": "", "etcd_key_prefix": "/fleet/", "agent_ttl": "10s", "engine_ttl": "10s",
        "token_limit": "100", "units_directory": "/run/fleet/units/",
        "state_directory": "/var/lib/fleet/", "mass_loss_hold": "1m",
        "isolation_stop_timeout": "5s", "leave_timeout": "1m", "events_max": "10000",
        "disruption_budget": "1", "placement": "spread", "rebalance": "off", "drift": "report",
        "reboot_slots": "1", "capacity_cpu": "0", "capacity_memory": "0",
        "reserved_cpu": "0", "reserved_memory": "0", "listen": "", "listen_insecure": "false", "disable_engine": "false"}
    assert {key: done.shown[key] for key in documented} == documented


def test_engine_ttl_follows_agent_ttl(check):
    assert check("agent_ttl=4s").shown["engine_ttl"] == "4s"
    assert check("agent_ttl=4s", "engine_ttl=6s").shown["engine_ttl"] == "6s"


TWO = '["http://10.0.0.1:2379", "http://10.0.0.2:2379"]'


FORMS = [
    ("public_ip=10.0.0.1", "10.0.0.1"),
    ("public_ip = 10.0.0.1", "10.0.0.1"),
    ("  public_ip\t=\t10.0.0.1  ", "10.0.0.1"),
    ("public_ip='10.0.0.1'", "10.0.0.1"),
    ('public_ip="10.0.0.1"', "10.0.0.1"),
    ('public_ip="10.0.0.1"  # comment', "10.0.0.1"),
    ("public_ip=10.0.0.1 # comment", "10.0.0.1"),
    ("public_ip=10.0.0.1\r", "10.0.0.1"),
    ("etcd_servers=http://10.0.0.1:2379,http://10.0.0.2:2379", TWO),
    ("etcd_servers=http://10.0.0.1:2379, http://10.0.0.2:2379", TWO),
    ('etcd_servers="http://10.0.0.1:2379,http://10.0.0.2:2379"', TWO),
    ("etcd_servers='http://10.0.0.1:2379,http://10.0.0.2:2379'", TWO),
    ('etcd_servers=["http://10.0.0.1:2379","http://10.0.0.2:2379"]', TWO),
    ('etcd_servers = [ "http://10.0.0.1:2379" , "http://10.0.0.2:2379" ]', TWO),
    ("etcd_servers=['http://10.0.0.1:2379', 'http://10.0.0.2:2379']", TWO),
    ("etcd_servers=[http://10.0.0.1:2379, http://10.0.0.2:2379]", TWO),
    ("etcd_servers=http://10.0.0.1", '["http://10.0.0.1:2379"]'),
    ("etcd_servers=", ""),
    ('etcd_servers=""', ""),
    ("etcd_servers=[]", ""),
    ("metadata=region=us,zone=1", "region=us,zone=1"),
    ('metadata="zone=1,region=us"', "region=us,zone=1"),
    ("metadata='region=us,zone=1'", "region=us,zone=1"),
    ('metadata=["region=us","zone=1"]', "region=us,zone=1"),
    ('metadata="name=with blank"', '"name=with blank"'),
    ("etcd_key_prefix=fleet", "/fleet/"),
    ("etcd_key_prefix=/a/b", "/a/b/"),
    ("etcd_key_prefix='a/b/'", "/a/b/"),
    ("agent_ttl=", "10s"),
    ("agent_ttl=30s", "30s"),
    ('agent_ttl="30s"', "30s"),
    ("agent_ttl=1m30s", "1m30s"),
    ("etcd_request_timeout=0.25", "0.25"),
    ("engine_reconcile_interval=2", "2"),
    ("disable_engine=TRUE", "true"),
    ("disable_engine=1", "true"),
    ("disable_engine=no", "false"),
    ("listen=127.0.0.1:49153", '["127.0.0.1:49153"]'),
    ("listen=localhost:49153", '["127.0.0.1:49153"]'),
    ('listen="[::1]:49153"', '["[::1]:49153"]'),
    ("listen=[::1]:49153", '["[::1]:49153"]'),
    ("listen=[::1]:49153,127.0.0.1:49153", '["[::1]:49153", "127.0.0.1:49153"]'),
    ('listen=["[::1]:49153"]', '["[::1]:49153"]'),
    ("reserved_cpu=0.5", "0.5"),
    ("reserved_memory=1G", "1G"),
    ("capacity_cpu=2", "2"),
    ("capacity_memory=1T", "1T"),
    ("disruption_budget=2", "2"),
]


@pytest.mark.parametrize("line, shown", FORMS, ids=lambda value: value)
def test_every_form_of_a_value_is_read(check, line, shown):
    done = check(line)
    assert done.returncode == 0, done.stderr
    assert done.shown[line.split("=")[0].strip()] == shown


def test_comments_and_blank_lines_count_as_lines_only(check):
    done = check("# agent_ttl=3s", "", "   ", "; agent_ttl=4s", "agent_ttl=5s")
    assert done.returncode == 0 and done.origin["agent_ttl"] == f"{check.path}:5"


def test_the_last_of_a_key_counts_and_the_other_is_told(check):
    done = check("agent_ttl=5s", "agent_ttl=6s")
    assert done.shown["agent_ttl"] == "6s" and done.origin["agent_ttl"] == f"{check.path}:2"
    assert f"{check.path}:2" in done.stderr and f"{check.path}:1" in done.stderr


def test_the_environment_wins_and_is_named(check):
    done = check("agent_ttl=5s", 'metadata="zone=a"', FLEET_AGENT_TTL="7s")
    assert (done.shown["agent_ttl"], done.origin["agent_ttl"]) == ("7s", "environment")
    assert done.origin["metadata"] == f"{check.path}:2"
    assert done.origin["etcd_key_prefix"] == "default"


def test_a_mistake_in_the_environment_is_told_by_its_variable(check):
    done = check("agent_ttl=5s", FLEET_AGENT_TTL="soon", FLEET_LISTEN="0.0.0.0:1")
    assert done.returncode == 1
    assert "FLEET_AGENT_TTL" in done.stderr and "soon" in done.stderr
    assert "environment: listen" in done.stderr


def test_a_variable_that_is_no_key_is_told_and_does_no_harm(check):
    done = check(FLEET_AGENT_TLL="5s", FLEET_HOME="/root", HOME="/root")
    assert done.returncode == 0 and done.shown["agent_ttl"] == "10s"
    assert "FLEET_AGENT_TLL" in done.stderr and 'did you mean "agent_ttl"' in done.stderr


def test_no_secret_is_printed(check):
    for done in (check("etcd_username=u", "etcd_password=geheim",
                       "etcd_servers=http://127.0.0.1:2379"),
                 check("etcd_username=u", FLEET_ETCD_PASSWORD="geheim"),
                 check("etcd_password=geheim"), check("etcd_password='geheim"),
                 check("etcd_servers=http://u:geheim@127.0.0.1:2379")):
        assert "etcd_" in done.stdout + done.stderr
        assert "geheim" not in done.stdout + done.stderr


def test_a_file_with_a_password_that_all_may_read_is_told(check):
    check.path.touch()
    check.path.chmod(0o644)
    assert "chmod" in check("etcd_username=u", "etcd_password=x").stderr
    check.path.chmod(0o600)
    assert "chmod" not in check("etcd_username=u", "etcd_password=x").stderr


@pytest.mark.parametrize("line", ["disable_watches=true", "enable_grpc=true",
                                  "authorized_keys_file=/root/.ssh/keys", "verify_units=true"])
def test_a_key_without_effect_is_accepted_with_a_notice(check, line):
    done = check(line)
    assert done.returncode == 0
    assert f"{check.path}:1" in done.stderr and line.split("=")[0] in done.stderr


MISTAKES = [
    ("agent_tll=5s", ["agent_tll", 'did you mean "agent_ttl"']),
    ("etcd_server=http://x", ['did you mean "etcd_servers"']),
    ("Verbosity=1", ['did you mean "verbosity"']),
    ("completely_unknown=1", ["completely_unknown"]),
    ("agent_ttl=soon", ["agent_ttl", "soon"]),
    ("agent_ttl=1s", ["agent_ttl", "2s"]),
    ("etcd_servers=ftp://x", ["etcd_servers"]),
    ("etcd_servers=10.0.0.1:2379", ["etcd_servers"]),
    ('etcd_servers=["http://a:1"', ["etcd_servers"]),
    ("etcd_servers=http://a:1,https://b:1", ["etcd_servers"]),
    ('public_ip="10.0.0.1', ["public_ip", "closed"]),
    ("public_ip=10.0.0.1/8", ["public_ip"]),
    ("verbosity=much", ["verbosity", "much"]),
    ("token_limit=0", ["token_limit"]),
    ("disable_engine=perhaps", ["disable_engine", "perhaps"]),
    ("units_directory=relative", ["units_directory"]),
    ("metadata=novalue", ["metadata"]),
    ("metadata=a=1,a=2", ["metadata"]),
    ("listen=0.0.0.0:49153", ["listen", "listen_insecure"]),
    ("listen=10.0.0.1:49153", ["listen_certfile"]),
    ("listen=127.0.0.1", ["listen"]),
    ("etcd_request_timeout=0", ["etcd_request_timeout"]),
    ("disruption_budget=0", ["disruption_budget"]),
    ("placement=random", ["placement", "spread", "pack"]),
    ("reserved_memory=much", ["reserved_memory"]),
    ("capacity_cpu=many", ["capacity_cpu"]),
    ("just words", []),
    ("[section]", ["section"]),
    ("=value", []),
    ("etcd_certfile=/etc/hostname", ["etcd_keyfile"]),
    ("etcd_username=x", ["etcd_password"]),
]


@pytest.mark.parametrize("line, words", MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_told_with_its_line_and_all_of_them_at_once(check, line, words):
    done = check("# a comment", line, "", "another_mistake=1")
    assert done.returncode == 1 and done.stdout == ""
    assert f"{check.path}:2" in done.stderr and f"{check.path}:4" in done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_a_file_that_is_named_in_it_has_to_be_there(check):
    done = check("etcd_cafile=/does/not/exist.pem")
    assert done.returncode == 1
    assert "/does/not/exist.pem" in done.stderr and "etcd_cafile" in done.stderr


@pytest.mark.parametrize("name", ["none.conf", "."])
def test_a_configuration_that_cannot_be_read_is_an_error(tmp_path, name):
    done = fleetd("--check-config", "--config", tmp_path / name)
    assert done.returncode == 1 and str(tmp_path) in done.stderr


def test_what_it_shows_is_a_configuration_with_the_same_values(check, tmp_path):
    first = check(*(f"{key}={value}" for key, (value, _) in KEYS.items()
                    if key not in ("etcd_username", "etcd_password")))
    assert first.returncode == 0, first.stderr
    (tmp_path / "again.conf").write_text(first.stdout)
    again = fleetd("--check-config", "--config", tmp_path / "again.conf")
    assert again.returncode == 0, again.stderr
    values = [line.rsplit("# ", 1)[0] for line in again.stdout.splitlines()]
    assert values == [line.rsplit("# ", 1)[0] for line in first.stdout.splitlines()]


@pytest.mark.parametrize("flags", [["--config", "F"], ["-config", "F"], ["--config=F"],
                                   ["-config=F"]], ids=" ".join)
@pytest.mark.parametrize("check_config", ["--check-config", "-check-config"])
def test_a_flag_may_have_one_dash_or_two(tmp_path, flags, check_config):
    path = tmp_path / "own.conf"
    path.write_text("agent_ttl=5s\n")
    done = fleetd(check_config, *(flag.replace("F", str(path)) for flag in flags))
    assert done.returncode == 0 and f"{path}:1" in done.stdout


@pytest.mark.parametrize("flag", ["--version", "-version"])
def test_version(flag):
    done = fleetd(flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("fleetd version ") and done.stdout.count("\n") == 1
    ctl = subprocess.run([str(BIN / "fleetctl"), "version"], env=os.environ, text=True,
                         capture_output=True, timeout=60, check=True).stdout
    assert done.stdout.split()[-1] == ctl.split()[-1]


@pytest.mark.parametrize("arguments", [["start"], ["--verbose"], ["-v"], ["--check-config", "x"],
                                       ["--config"], ["-config"], ["--config="], [""], ["--"]],
                         ids=str)
def test_any_other_argument_is_an_error(arguments):
    done = fleetd(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert "usage: fleetd" in done.stderr and "fleetd: " in done.stderr
