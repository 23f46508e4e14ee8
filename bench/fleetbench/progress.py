"""Progress on stderr, and waiting with a deadline."""
import sys
import time

from .errors import BenchError


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def wait_until(what, condition, seconds, interval=0.05):
    """Polls until the condition holds and returns its value; BenchError after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds} s in vain for {what}")
        time.sleep(interval)
