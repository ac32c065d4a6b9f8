"""
Where an import of a file stands: one row for the database, one rejects file, one process at a time.

The row moves on in the transaction of each batch, so a killed import knows where to continue.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from django.db import DatabaseError, connection
from django.utils import timezone

from oms.orders.models import ImportRun

FINGERPRINT_BYTES: Final = 1024 * 1024
# The server notices within this time that an import killed a moment ago is gone.
LOCK_PATIENCE_SECONDS: Final = 30.0


class ImportIsRunning(Exception):
    """Another process is importing the same file."""


def fingerprint_of(path: Path) -> str:
    """This function will tell files apart by size and both ends: reading all of them takes long."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(FINGERPRINT_BYTES))
        file.seek(max(0, size - FINGERPRINT_BYTES))
        digest.update(file.read(FINGERPRINT_BYTES))
    return digest.hexdigest()


@contextmanager
def only_importer_of(fingerprint: str) -> Iterator[None]:
    """This function will hold a lock of the session, which ends with the process however it ends."""
    key = int.from_bytes(bytes.fromhex(fingerprint[:16]), "big", signed=True)
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while not _ask("SELECT pg_try_advisory_lock(%s)", key):
        if time.monotonic() > deadline:
            raise ImportIsRunning("Another process is importing this file.")
        time.sleep(0.2)
    try:
        yield
    finally:
        if connection.connection is not None and connection.is_usable():
            _ask("SELECT pg_advisory_unlock(%s)", key)


def _ask(statement: str, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(statement, [key])
        return bool(cursor.fetchone()[0])


def open_run(
    path: Path, fingerprint: str, rejects: Path | None, *, resume: bool, actor: str
) -> ImportRun:
    unfinished = ImportRun.objects.filter(fingerprint=fingerprint).exclude(
        state=ImportRun.State.FINISHED
    )
    if not resume:
        unfinished.delete()
    where = str((rejects or path.with_name(f"{path.name}.rejects.ndjson")).absolute())
    run, _ = unfinished.get_or_create(
        defaults={
            "fingerprint": fingerprint,
            "file_name": path.name[:255],
            "actor": actor,
            "rejects_path": where,
        },
    )
    if rejects is not None and run.rejects_path != where:
        run.rejects_path, run.rejects_bytes = where, 0
    run.state = ImportRun.State.RUNNING
    run.save()
    return run


@contextmanager
def open_rejects(run: ImportRun) -> Iterator[IO[bytes]]:
    """
    This function will open the rejects file where the last committed batch left it.

    What a killed batch wrote behind that is cut off: its lines come again. Readable by the owner
    alone, since order ids are somebody's business. Left empty, it is removed.
    """
    descriptor = os.open(run.rejects_path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        file.truncate(min(run.rejects_bytes, os.fstat(descriptor).st_size))
        file.seek(0, os.SEEK_END)
        yield file
        is_empty = file.tell() == 0
    if is_empty:
        Path(run.rejects_path).unlink(missing_ok=True)


@contextmanager
def recorded_end(run: ImportRun) -> Iterator[None]:
    """This function will record how a run ended; a killed one stays `running` and goes on anyhow."""
    try:
        yield
    except BaseException:
        with suppress(DatabaseError):
            ImportRun.objects.filter(pk=run.pk).update(state=ImportRun.State.INTERRUPTED)
        raise
    ImportRun.objects.filter(pk=run.pk).update(
        state=ImportRun.State.FINISHED, finished_at=timezone.now()
    )


def advance_run(
    run: ImportRun,
    *,
    line: int,
    offset: int,
    imported: int,
    skipped: int,
    rejected: int,
    rejects_bytes: int,
) -> None:
    """This function will write how far the file is done, and add up what became of its lines."""
    run.line, run.offset, run.rejects_bytes = line, offset, rejects_bytes
    run.imported_count += imported
    run.skipped_count += skipped
    run.rejected_count += rejected
    run.save(
        update_fields=[
            "line",
            "offset",
            "rejects_bytes",
            "imported_count",
            "skipped_count",
            "rejected_count",
        ]
    )
