"""Lines of a file, plain or gzip, with a memory of how far it was read. One line is in memory."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from types import TracebackType
from typing import Final, Self

GZIP_MAGIC: Final = b"\x1f\x8b"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
LONGEST_LINE: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line and its number from 1. With a `problem` the text is empty: there was too much."""

    number: int
    text: bytes
    problem: str = ""


class LineReader:
    """
    Reads a file line by line. `offset` counts bytes of text, `bytes_read` bytes on disk.

    After `skip_to` it continues behind a line read earlier; in gzip that means unpacking again.
    """

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        is_gzip = self._raw.peek(2)[:2] == GZIP_MAGIC
        self._text: BufferedIOBase = gzip.GzipFile(fileobj=self._raw) if is_gzip else self._raw
        self.bytes_total = path.stat().st_size
        self.offset = 0
        self._line = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._text.close()
        self._raw.close()

    @property
    def bytes_read(self) -> int:
        return self._raw.tell()

    def skip_to(self, *, line: int, offset: int) -> None:
        self._text.seek(offset)
        self._line, self.offset = line, offset

    def __iter__(self) -> Iterator[Line]:
        while text := self._text.readline(LONGEST_LINE):
            self._line += 1
            self.offset += len(text)
            if self._line == 1:
                text = text.removeprefix(BYTE_ORDER_MARK)
            if len(text) == LONGEST_LINE and not text.endswith(b"\n"):
                self._pass_rest()
                yield Line(self._line, b"", f"longer than {LONGEST_LINE} bytes")
            else:
                yield Line(self._line, text)

    def _pass_rest(self) -> None:
        while text := self._text.readline(LONGEST_LINE):
            self.offset += len(text)
            if text.endswith(b"\n"):
                return
