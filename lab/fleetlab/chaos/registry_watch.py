"""What was written to the registry and when: a watch of each etcd member, from the host.

Members may be paused or killed. A change counts from when the first of the watchers saw it, and
the order of changes is that of their revisions.
"""
import base64
import json
import subprocess
import threading
import time

from . import protobuf
from .history import Change

_KINDS = {"machines": "machine", "assignments": "assignment", "units": "unit", "leader": "leader",
          "events": "event"}


class RegistryWatch:
    """Watches until `close`. `of_id`: machine id → the lab's name of it."""

    def __init__(self, environment, prefix, of_id):
        self._prefix = prefix
        self._of_id = of_id
        self._seen = {}  # (revision, key) → Change
        self._lock = threading.Lock()
        self._closed = False
        self._processes = {}
        self._threads = [threading.Thread(target=self._follow, args=(environment, endpoint),
                                          daemon=True)
                         for endpoint in environment["ETCDCTL_ENDPOINTS"].split(",")]
        for thread in self._threads:
            thread.start()

    def _follow(self, environment, endpoint):
        following = 1
        while not self._closed:
            process = subprocess.Popen(
                ["etcdctl", "watch", self._prefix, "--prefix", "--write-out=json",
                 f"--rev={following}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, env={**environment, "ETCDCTL_ENDPOINTS": endpoint})
            with self._lock:
                self._processes[endpoint] = process
            for line in process.stdout:
                now = time.time()
                answer = json.loads(line)
                for event in answer.get("Events") or ():
                    following = max(following, event["kv"]["mod_revision"])
                    self._note(now, event)
                if answer.get("Canceled"):  # compacted: what is there now is where it goes on
                    following = max(following, answer.get("CompactRevision", 0))
                    process.terminate()
            process.wait()
            if not self._closed:
                time.sleep(0.2)

    def _note(self, now, event):
        entry = event["kv"]
        key = base64.b64decode(entry["key"]).decode()
        revision = entry["mod_revision"]
        with self._lock:
            if (revision, key) in self._seen:
                seen = self._seen[revision, key]
                if seen:
                    seen.time = min(seen.time, now)
                return
            self._seen[revision, key] = parse(
                key[len(self._prefix):], base64.b64decode(entry.get("value", "")),
                event.get("type") in (1, "DELETE"), revision, now, self._of_id)

    def changes(self):
        with self._lock:
            return sorted((change for change in self._seen.values() if change),
                          key=lambda change: change.revision)

    def revision(self):
        """The last that was seen."""
        with self._lock:
            return max((revision for revision, _ in self._seen), default=0)

    def keys_since(self, revision):
        """What was written after a revision, fleet's own or not."""
        with self._lock:
            return sorted(f"revision {seen}: {key}" for seen, key in self._seen if seen > revision)

    def close(self):
        self._closed = True
        with self._lock:
            for process in self._processes.values():
                process.kill()
        for thread in self._threads:
            thread.join(5)


def parse(key, value, deleted, revision, now, of_id):
    """The change that a key below fleet's prefix and its value stand for; None for others."""
    kind, *names = key.split("/")
    what = _KINDS.get(kind)
    if what is None:
        return None
    change = Change(now, revision, what, deleted=deleted)
    fields = {} if deleted else protobuf.fields(value)
    if what == "machine":
        change.machine = of_id.get(names[0], names[0])
        change.leaving = bool(protobuf.number(fields, 9))
    elif what == "assignment":
        change.machine, change.unit = of_id.get(names[0], names[0]), names[1]
        change.uid, change.generation = protobuf.text(fields, 1), protobuf.number(fields, 2)
        change.content, change.state = protobuf.text(fields, 3), protobuf.number(fields, 4)
        change.restarts, change.starts = protobuf.number(fields, 5), protobuf.number(fields, 7)
    elif what == "unit":
        change.unit, change.uid = names[0], protobuf.text(fields, 1)
        change.state, change.content = protobuf.number(fields, 2), protobuf.text(fields, 3)
        change.restarts, change.starts = protobuf.number(fields, 4), protobuf.number(fields, 7)
        change.text = protobuf.text(fields, 5)
    elif what == "leader":
        found = protobuf.text(fields, 1)
        change.machine = of_id.get(found, found)
    else:
        entries = [protobuf.fields(entry) for entry in fields.get(2, [])]
        change.text = "; ".join(
            f"{protobuf.text(entry, 1)} {protobuf.text(entry, 2)} "
            f"{of_id.get(protobuf.text(entry, 3), protobuf.text(entry, 3))}: "
            f"{protobuf.text(entry, 4)}" for entry in entries)
    return change
