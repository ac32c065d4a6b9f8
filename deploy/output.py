"""Many processes' output as one stream of named lines."""

import contextlib
import os
import select
import selectors
import sys
import time

LONGEST_LINE_BYTES = 65_536


class Output:
    """
    Passes lines of many pipes to stderr, each with the name of its source.

    A reader that stops reading must not hold up the roles, so lines are dropped, and counted,
    while it does not.
    """

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.dropped = 0
        self.pending: dict[int, bytes] = {}

    def follow(self, name: str, descriptor: int) -> None:
        """This function will take over the reading end of a pipe until its last writer is gone."""
        os.set_blocking(descriptor, False)
        self.pending[descriptor] = b""
        self.selector.register(descriptor, selectors.EVENT_READ, name)

    def pump(self, seconds: float) -> None:
        """This function will pass on what arrives first, waiting `seconds` for it at most."""
        if not self.pending:
            time.sleep(seconds)
            return
        for key, _ in self.selector.select(seconds):
            self._read(key.fd, key.data)

    def _read(self, descriptor: int, name: str) -> None:
        try:
            data = os.read(descriptor, LONGEST_LINE_BYTES)
        except BlockingIOError:
            return
        *lines, rest = (self.pending[descriptor] + data).split(b"\n")
        if not data or len(rest) > LONGEST_LINE_BYTES:
            lines, rest = [*lines, rest] if rest else lines, b""
        self.pending[descriptor] = rest
        for line in lines:
            self._write(f"{name:<10} | ".encode() + line + b"\n")
        if not data:
            self.selector.unregister(descriptor)
            del self.pending[descriptor]
            os.close(descriptor)

    def say(self, text: str) -> None:
        self._write(f"{'up':<10} | {text}\n".encode())

    def _write(self, line: bytes) -> None:
        if self.dropped:
            line = f"\n{'up':<10} | {self.dropped} lines dropped: not read\n".encode() + line
        target = sys.stderr.fileno()
        for start in range(0, len(line), select.PIPE_BUF):
            # A pipe that is reported writable takes PIPE_BUF bytes without blocking.
            if not select.select([], [target], [], 0)[1]:
                self.dropped += 1
                return
            with contextlib.suppress(OSError):
                os.write(target, line[start : start + select.PIPE_BUF])
        self.dropped = 0
