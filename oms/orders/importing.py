"""
Orders from a file, in bulk: NDJSON of order documents, plain or gzip, with their history.

Line by line into batches; each batch is one transaction that also says how far the file is done.
Killed at any point, the next call continues with the first line that is not in. Memory stays flat.
"""

import gc
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import orjson
from django.db import DataError, IntegrityError, transaction

from oms.ops.clock import database_now
from oms.orders.documents.drafts import OrderDraft
from oms.orders.documents.errors import DocumentError, FieldError
from oms.orders.documents.reading import read_document
from oms.orders.documents.storable import exact_number_errors
from oms.orders.import_runs import (
    advance_run,
    fingerprint_of,
    only_importer_of,
    open_rejects,
    open_run,
    recorded_end,
)
from oms.orders.ledger import NewEvent, record_events
from oms.orders.lines import Line, LineReader
from oms.orders.models import ImportRun, Order
from oms.orders.numbers import push_sequence_beyond
from oms.orders.writing import insert_orders

BATCH_BYTES: Final = 8 * 1024 * 1024

OnInserted = Callable[[Sequence[int]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far an import is: bytes of the file as it lies on disk, lines, and what became of them."""

    bytes_read: int
    bytes_total: int
    lines: int
    imported: int
    skipped: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """The whole of an import, over all its runs; `resumed_after` is the last line of earlier ones."""

    lines: int
    imported: int
    skipped: int
    rejected: int
    rejects_path: Path
    resumed_after: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that was not taken, and why. Never its text: that holds a person's data."""

    line: int
    reason: str
    order_id: str = ""
    fields: tuple[FieldError, ...] = ()

    def as_json(self) -> bytes:
        facts: dict[str, Any] = {"line": self.line, "reason": self.reason}
        if self.order_id:
            facts["orderId"] = self.order_id
        if self.fields:
            facts["fields"] = [error.as_json() for error in self.fields]
        return orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class _Batch:
    """A stretch of lines that becomes one transaction; `line` and `offset` are where it ends."""

    line: int = 0
    offset: int = 0
    bytes_read: int = 0
    drafts: list[tuple[int, OrderDraft]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    skipped: int = 0
    imported: int = 0


def import_file(
    path: Path,
    *,
    batch: int = 1_000,
    rejects: Path | None = None,
    resume: bool = True,
    actor: str = "role:command",
    on_inserted: OnInserted | None = None,
    progress: Callable[[ImportProgress], object] | None = None,
) -> ImportSummary:
    """
    This function will import every order document of a file and report the lines it refused.

    Bad lines go to `rejects` (FILE.rejects.ndjson) with line number and reason; orders that are
    already there are counted and left alone. `on_inserted` gets the keys of each batch inside its
    transaction. With `resume` False an unfinished earlier import of the file is begun again.
    Raises `ImportIsRunning`, and whatever the file system says of an unreadable file.
    """
    started = time.monotonic()
    fingerprint = fingerprint_of(path)
    with only_importer_of(fingerprint), LineReader(path) as reader:
        run = open_run(path, fingerprint, rejects, resume=resume, actor=actor)
        resumed_after = run.line
        reader.skip_to(line=run.line, offset=run.offset)
        with (
            recorded_end(run),
            _rare_garbage_collection(),
            open_rejects(run) as rejects_file,
            closing(_one_ahead(reader, batch)) as batches,
        ):
            for read in batches:
                _import_batch(run, read, rejects_file, on_inserted)
                if progress is not None:
                    progress(_progress(run, read, reader.bytes_total))
    return ImportSummary(
        lines=run.line,
        imported=run.imported_count,
        skipped=run.skipped_count,
        rejected=run.rejected_count,
        rejects_path=Path(run.rejects_path),
        resumed_after=resumed_after,
        seconds=time.monotonic() - started,
    )


def _one_ahead(reader: LineReader, most: int) -> Generator[_Batch, None, None]:
    """This function will read the next batch in a thread while PostgreSQL takes in the present."""
    batches = _batches(reader, most)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import-reader") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _batches(reader: LineReader, most: int) -> Iterator[_Batch]:
    batch, size, count = _Batch(), 0, 0
    for line in reader:
        _read_line(line, batch)
        size, count = size + len(line.text), count + 1
        batch.line, batch.offset, batch.bytes_read = line.number, reader.offset, reader.bytes_read
        if count >= most or size >= BATCH_BYTES:
            yield batch
            batch, size, count = _Batch(), 0, 0
    if count:
        yield batch


def _import_batch(
    run: ImportRun, batch: _Batch, rejects_file: IO[bytes], on_inserted: OnInserted | None
) -> None:
    numbers = [draft.sequence for _, draft in batch.drafts if draft.sequence is not None]
    if numbers:
        push_sequence_beyond(max(numbers))
    with transaction.atomic():
        _leave_out_known(batch)
        pks = _insert(batch, run)
        if on_inserted is not None and pks:
            on_inserted(pks)
        batch.rejects.sort(key=lambda reject: reject.line)
        rejects_file.writelines(reject.as_json() for reject in batch.rejects)
        rejects_file.flush()
        os.fsync(rejects_file.fileno())
        advance_run(
            run,
            line=batch.line,
            offset=batch.offset,
            imported=batch.imported,
            skipped=batch.skipped,
            rejected=len(batch.rejects),
            rejects_bytes=rejects_file.tell(),
        )


def _read_line(line: Line, batch: _Batch) -> None:
    if line.problem:
        batch.rejects.append(Reject(line.number, line.problem))
        return
    if not line.text.strip():
        return
    try:
        document = orjson.loads(line.text)
    except orjson.JSONDecodeError as error:
        batch.rejects.append(Reject(line.number, f"not JSON: {error.msg}"))
        return
    try:
        if errors := exact_number_errors(line.text):
            raise DocumentError(errors)
        batch.drafts.append((line.number, read_document(document)))
    except DocumentError as error:
        reason = str(error.errors[0]) if len(error.errors) == 1 else "several fields are wrong"
        batch.rejects.append(Reject(line.number, reason, _order_id_of(document), error.errors))


def _order_id_of(document: Any) -> str:
    found = document.get("orderId") if isinstance(document, dict) else None
    return found[:200] if isinstance(found, str) else ""


def _leave_out_known(batch: _Batch) -> None:
    """
    This function will leave out orders that are there already, and refuse numbers that are taken.
    """
    ids = [draft.order_id for _, draft in batch.drafts]
    numbers = [draft.sequence for _, draft in batch.drafts if draft.sequence is not None]
    known = set(Order.objects.filter(order_id__in=ids).values_list("order_id", flat=True))
    taken = dict(Order.objects.filter(sequence__in=numbers).values_list("sequence", "order_id"))
    remaining = []
    for number, draft in batch.drafts:
        holder = None if draft.sequence is None else taken.get(draft.sequence)
        if draft.order_id in known:
            batch.skipped += 1
        elif holder is not None:
            reason = f"sequence {draft.sequence} belongs to order {holder}"
            batch.rejects.append(Reject(number, reason, draft.order_id))
        else:
            known.add(draft.order_id)
            if draft.sequence is not None:
                taken[draft.sequence] = draft.order_id
            remaining.append((number, draft))
    batch.drafts = remaining


def _insert(batch: _Batch, run: ImportRun) -> list[int]:
    """
    This function will insert the batch as one; where the database refuses it, order by order.

    What it still refuses then was placed by somebody else in this very moment.
    """
    try:
        with transaction.atomic():
            pks = _insert_with_events([draft for _, draft in batch.drafts], run)
    except (IntegrityError, DataError):
        pks = []
        for number, draft in batch.drafts:
            try:
                with transaction.atomic():
                    pks += _insert_with_events([draft], run)
            except (IntegrityError, DataError) as error:
                batch.rejects.append(Reject(number, _database_reason(error), draft.order_id))
    batch.imported = len(pks)
    return pks


def _database_reason(error: Exception) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    constraint = getattr(diagnosis, "constraint_name", None)
    return f"refused by the database: {constraint or type(error).__name__}"


def _insert_with_events(drafts: Sequence[OrderDraft], run: ImportRun) -> list[int]:
    pks = insert_orders(drafts)
    now = database_now()
    record_events(
        [
            NewEvent(
                order_pk=pk,
                seq=1,
                kind="order.imported",
                actor=run.actor,
                status=draft.status,
                last_status="",
                occurred_at=now,
                last_change_at=draft.last_change_at,
                data={"import": run.pk},
                parts_changed=True,
            )
            for pk, draft in zip(pks, drafts, strict=True)
        ]
    )
    return pks


@contextmanager
def _rare_garbage_collection() -> Iterator[None]:
    """
    This function will look for cycles a thousand times less often than usual.

    Documents are trees of many small objects: looking for cycles in them was 40% of an import's
    processor time, and there are none.
    """
    usual = gc.get_threshold()
    gc.set_threshold(700_000, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _progress(run: ImportRun, batch: _Batch, bytes_total: int) -> ImportProgress:
    return ImportProgress(
        bytes_read=batch.bytes_read,
        bytes_total=bytes_total,
        lines=run.line,
        imported=run.imported_count,
        skipped=run.skipped_count,
        rejected=run.rejected_count,
    )
