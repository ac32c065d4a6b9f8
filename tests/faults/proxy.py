"""A wire between two processes that a test can cut, let go silent, or make slow for one message."""

import contextlib
import socket
import threading
import time
from pathlib import Path

CHUNK = 65_536


class Wire:
    """
    Forwards TCP connections on a loopback port to a Unix socket or to another port.

    `silence`: connections stay open and are accepted, and no byte arrives: a black hole.
    `cut`: connections are reset and new ones refused. `mend` ends either; what was silent is reset,
    as it is when a firewall has forgotten its connections. `hold` keeps back what is under way and
    lets later connections pass; `release` delivers it after all. `slow` delays all that passes.
    """

    def __init__(self, target: Path | int) -> None:
        self.target = target
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._passes = _opened()
        self._delay = 0.0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._serve()

    def silence(self) -> None:
        self._passes.clear()

    def slow(self, seconds: float) -> None:
        """This function will let each message take so long, either way."""
        self._delay = seconds

    def cut(self) -> None:
        self._stop_listening()
        self._reset_all()

    def mend(self) -> None:
        self._reset_all()
        self._passes.set()
        self._delay = 0.0
        if self._listener.fileno() < 0:
            self._listener = self._listen(self.port)
            self._serve()

    def hold(self) -> threading.Event:
        """This function will keep back all present connections until its event is set."""
        held, self._passes = self._passes, _opened()
        held.clear()
        return held

    def close(self) -> None:
        self._passes.set()
        self.cut()

    @property
    def connections(self) -> int:
        """How many sockets are open on both sides."""
        return len(self._open)

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port), backlog=128)

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(near, self._passes), daemon=True).start()

    def _connect(self, near: socket.socket, passes: threading.Event) -> None:
        with self._lock:
            self._open.add(near)
        passes.wait()
        try:
            far = self._reach_target()
        except OSError:
            self._close(near)
            return
        with self._lock:
            self._open.add(far)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink, passes), daemon=True).start()

    def _reach_target(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self.target))
        return far

    def _pump(self, source: socket.socket, sink: socket.socket, passes: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK):
                passes.wait()
                if self._delay:
                    time.sleep(self._delay)
                sink.sendall(chunk)
            # The sender is done, or gave up. What it sent before has been delivered.
            passes.wait()
        self._close(source)
        self._close(sink)

    def _close(self, end: socket.socket) -> None:
        with self._lock:
            self._open.discard(end)
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def _reset_all(self) -> None:
        with self._lock:
            ends = list(self._open)
        for end in ends:
            self._close(end)

    def _stop_listening(self) -> None:
        # A thread in accept() keeps the port; shutting down wakes it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _opened() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
