"""A command at a terminal: what a person types into `run -it`, and sees."""

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

from kit import PATIENCE, Failure

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    def __init__(self, *words, rows=24, columns=80, env=None):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(words[0], [str(word) for word in words], {**os.environ, **(env or {}), "TERM": "xterm"})
            finally:
                os._exit(127)
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self):
        """More of what is shown; false at its end."""
        ready, _, _ = select.select([self.fd], [], [], 1)
        if not ready:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return False
        self.seen += ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)

    def shows(self, text):
        """Waits for the text, and forgets what was before it."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            if not self.read() and text not in self.seen or time.monotonic() > end:
                self.hang_up()
                raise Failure(f"the terminal does not show {text!r}: {self.seen[-300:]!r}")
        before, _, self.seen = self.seen.partition(text)
        return before

    def shows_after(self, typed, text):
        """Types again every second until the text is shown: who reads may not be there yet, as with a person."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen:
            self.type(typed)
            if not self.read() or time.monotonic() > end:
                break
        return self.shows(text)

    def detach(self):
        """Ctrl-P Ctrl-Q, as slowly as hands: who reads both at once may miss them."""
        self.type("\x10")
        time.sleep(0.3)
        self.type("\x11")

    def ends(self, code):
        # Not until the terminal's end: what goes on in the background may hold it.
        end = time.monotonic() + PATIENCE
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        while not ended and time.monotonic() < end:
            self.read() or time.sleep(0.05)
            ended, status = os.waitpid(self.pid, os.WNOHANG)
        if not ended:
            self.hang_up()
            raise Failure(f"it does not end at the terminal: {self.seen[-300:]!r}")
        os.close(self.fd)
        found = os.waitstatus_to_exitcode(status)
        if code is not None and found != code:
            raise Failure(f"exit code {found} at the terminal, not {code}: {self.seen[-300:]!r}")

    def hang_up(self):
        os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
