"""The sandbox's memory: one JSON object a line, so that its counts survive a kill."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Entry = dict[str, Any]


class Journal:
    """
    An append-only file, or nothing when there is no path.

    Each line is one `write` to a file opened for appending: a killed process leaves whole lines
    and at most one torn at the end, which opening the journal cuts off. It is not forced to disk:
    a sandbox need not survive the loss of power.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: int | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def entries(self) -> Iterator[Entry]:
        if self._path is None:
            return
        with self._path.open("rb") as lines:
            for line in lines:
                yield orjson.loads(line)

    def append(self, entry: Entry) -> None:
        if self._file is None:
            return
        line = memoryview(orjson.dumps(entry) + b"\n")
        while line:  # A write to a full disk raises; a short one goes on where it stopped.
            line = line[os.write(self._file, line) :]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    with path.open("rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(end - 65536, 0)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                file.truncate(start + newline + 1)
                return
            end = start
        file.truncate(0)
