"""A program on a terminal of its own, for tests of what it asks there and shows there."""
import fcntl
import os
import select
import subprocess
import termios
import time


class Terminal:
    """Runs argv with a new terminal as its controlling one; ends it at the end of `with`."""

    def __init__(self, argv, **options):
        self.output = ""
        self._seen = 0
        self._fd, inner = os.openpty()
        # pylint: disable-next=consider-using-with,subprocess-popen-preexec-fn
        self._process = subprocess.Popen(
            argv, stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options)
        os.close(inner)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._fd)

    def _read(self, deadline, what):
        """Takes what there is; false at the end of the output."""
        left = deadline - time.monotonic()
        ready = left > 0 and select.select([self._fd], [], [], left)[0]
        assert ready, f"waited in vain for {what!r}; the terminal shows\n{self.output}"
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # Linux says so when nobody has the terminal open any more
            data = b""
        self.output += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, seconds=30):
        """Waits for `text` after what was expected before."""
        deadline = time.monotonic() + seconds
        while text not in self.output[self._seen:]:
            assert self._read(deadline, text), f"no {text!r} before the end of\n{self.output}"
        self._seen = self.output.index(text, self._seen) + len(text)

    def send(self, text):
        os.write(self._fd, text.encode())

    def end(self, seconds=30):
        """Waits for the end and returns the exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline, "its end"):
            pass
        return self._process.wait(seconds)
