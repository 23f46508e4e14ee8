"""Doing the same to all machines at once."""
from concurrent.futures import ThreadPoolExecutor, as_completed

from . import process


def in_parallel(items, action):
    """Calls action(item) for all items at once.

    When one fails, or the user interrupts, the others give up waiting, and so do we.
    """
    try:
        with ThreadPoolExecutor(max_workers=16) as pool:
            futures = [pool.submit(action, item) for item in items]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                process.given_up.append(True)
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        process.given_up.clear()
