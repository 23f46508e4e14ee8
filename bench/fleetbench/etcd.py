"""The lab's etcd, asked over its HTTP gateway; nothing here reads fleet's keys but `leader`."""
import base64
import json
import math
import re
import threading
import time
import urllib.request

from .errors import BenchError

# A proxy from the environment must not come between us and the bridge.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_LEADER_KEY = "/fleet/leader"
_BOUND_KEY = "/fleet-bench/lease"  # beside fleet's prefix: fleet does not see it


def _post(endpoint, path, body, timeout=5):
    request = urllib.request.Request(f"{endpoint}/v3/{path}", json.dumps(body).encode())
    return _OPENER.open(request, timeout=timeout)


def _ask(endpoint, path, body):
    try:
        with _post(endpoint, path, body) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise BenchError(f"etcd at {endpoint}, {path}: {error}") from error


def _coded(text):
    return base64.b64encode(text.encode()).decode()


def engine_leader(endpoint):
    """The id of the machine whose engine leads, or None."""
    found = _ask(endpoint, "kv/range", {"key": _coded(_LEADER_KEY)}).get("kvs")
    value = base64.b64decode(found[0]["value"]) if found else b""
    match = re.search(rb"[0-9a-f]{32}", value)
    return match.group().decode() if match else None


def counters(endpoints):
    """Writes and range reads so far, by the members' own metrics (asking for them reads no key)."""
    names = {"etcd_mvcc_put_total": "writes", "etcd_mvcc_delete_total": "writes",
             "etcd_mvcc_range_total": "range_reads",
             "etcd_debugging_lease_renewed_total": "renewals"}
    found = dict.fromkeys(names.values(), 0)
    for endpoint in endpoints:
        with _OPENER.open(f"{endpoint}/metrics", timeout=5) as answer:
            for line in answer.read().decode().splitlines():
                name, _, value = line.partition(" ")
                if name in names:
                    found[names[name]] += int(float(value))
    return found


class LeaseBound:
    """The lower bound of a failover: a bare lease of the same TTL, renewed last at its beginning.

    `begin` grants it with a key; `seconds` is how long etcd takes to delete the key.
    """

    def __init__(self, endpoint, ttl):
        self._endpoint = endpoint
        self._ttl = ttl
        self._gone = None
        self._began = None
        self._revision = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def begin(self):
        self._began = time.monotonic()
        lease = _ask(self._endpoint, "lease/grant", {"TTL": math.ceil(self._ttl)})["ID"]
        answer = _ask(self._endpoint, "kv/put", {"key": _coded(_BOUND_KEY), "lease": lease})
        self._revision = int(answer["header"]["revision"]) + 1
        self._thread.start()

    def _watch(self):
        body = {"create_request": {"key": _coded(_BOUND_KEY), "start_revision": self._revision}}
        with _post(self._endpoint, "watch", body, timeout=self._ttl * 4 + 60) as stream:
            for line in stream:
                if json.loads(line).get("result", {}).get("events"):
                    self._gone = time.monotonic()
                    return

    def seconds(self):
        self._thread.join(self._ttl * 4 + 60)
        if self._gone is None:
            raise BenchError("etcd did not end a lease that nobody renews")
        return self._gone - self._began


def log(path):
    """The entries of a member's log."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                yield json.loads(line)
            except ValueError:
                continue  # a line that another library wrote
