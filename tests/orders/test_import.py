"""Bulk import: what a file holds is in, what is wrong with a line is told, nothing is doubled."""

import gzip
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from oms.orders import import_runs
from oms.orders.documents.building import order_document
from oms.orders.import_runs import ImportIsRunning
from oms.orders.importing import ImportProgress, ImportSummary, import_file
from oms.orders.ledger import read_ledger
from oms.orders.models import ImportRun, Item, Order, OrderEvent
from oms.orders.numbers import next_sequences
from oms.orders.selectors import find_orders
from tests.orders.documents import example_document
from workflow.models import WorkItem


def numbered(number: int, **changes: Any) -> dict[str, Any]:
    own = {
        "orderId": f"{1_000 + number}-01",
        "sequence": str(700_000 + number),
        "orderGroup": None,
    }
    return example_document(**own | changes)


def write(path: Path, lines: Sequence[Any]) -> Path:
    text = b"".join(
        (line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines
    )
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def counts(summary: ImportSummary) -> tuple[int, int, int]:
    return summary.imported, summary.skipped, summary.rejected


def rejects_of(summary: ImportSummary) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in summary.rejects_path.read_bytes().splitlines()]


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["orders.ndjson", "orders.ndjson.gz"])
def test_a_file_is_imported_with_its_history(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [numbered(n) for n in range(5)])
    summary = import_file(path, batch=2, actor="user:ana")
    assert (summary.lines, counts(summary)) == (5, (5, 0, 0))
    assert not summary.rejects_path.exists()
    order = Order.objects.get(order_id="1003-01")
    assert (order.is_imported, order.version, order.status) == (True, 1, "handling")
    assert order.status_since == order.last_change_at
    document = order_document(order)
    assert document["creationDate"] == "2024-02-04T20:09:43.899958+00:00"
    assert document["lastChange"] == "2024-02-06T20:46:11.7010747+00:00"
    (event,) = OrderEvent.objects.filter(order=order)
    assert (event.kind, event.seq, event.actor) == ("order.imported", 1, "user:ana")
    assert (event.status, event.last_status) == ("handling", "")
    assert event.fingerprint is not None
    assert event.parts_fingerprint is not None


@pytest.mark.django_db(transaction=True)
def test_imported_orders_are_in_the_ledger(tmp_path: Path) -> None:
    import_file(write(tmp_path / "o", [numbered(n) for n in range(3)]))
    events = read_ledger(after=0, limit=10)
    assert [event.kind for event in events] == ["order.imported"] * 3
    assert [event.position for event in events] == [1, 2, 3]


BAD_LINES: list[tuple[bytes, str, str]] = [
    (b"{", "not JSON", ""),
    (b"[1]", "expected an object", ""),
    (b"null", "expected an object", ""),
    (b"\xff\xfe", "not JSON", ""),
    (b'{"orderId": "\\ud800"}', "not JSON", ""),
    (b'{"a": NaN}', "not JSON", ""),
    (orjson.dumps(numbered(1, status="nowhere")), "status: expected one of", "1001-01"),
    (orjson.dumps(numbered(1, value=1.5)), "value: expected money in whole cents", "1001-01"),
    (orjson.dumps(numbered(1, value=None, status="x")), "several fields are wrong", "1001-01"),
    (orjson.dumps(numbered(1, openTextField="\x00")), "openTextField: contains a NUL", "1001-01"),
    (
        orjson.dumps(numbered(1)).replace(b'"roundingError":0', b'"roundingError":' + b"9" * 20),
        "roundingError: whole number beyond 64 bits",
        "1001-01",
    ),
    (orjson.dumps(numbered(1, sequence="700000")), "sequence 700000 belongs to", "1001-01"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("line", "reason", "order_id"), BAD_LINES)
def test_a_bad_line_is_rejected_with_its_reason_and_the_rest_is_imported(
    tmp_path: Path, line: bytes, reason: str, order_id: str
) -> None:
    summary = import_file(write(tmp_path / "o", [numbered(0), line, b"", numbered(2)]))
    assert (summary.lines, counts(summary)) == (4, (2, 0, 1))
    (reject,) = rejects_of(summary)
    assert reject["line"] == 2
    assert reason in reject["reason"]
    assert reject.get("orderId", "") == order_id


@pytest.mark.django_db
def test_rejects_name_fields_and_never_a_person(tmp_path: Path) -> None:
    bad = numbered(1, status="nowhere", value=None)
    bad["clientProfileData"]["email"] = ["rodrigo.smith@email.com"]
    summary = import_file(write(tmp_path / "o", [bad]), rejects=tmp_path / "bad")
    assert summary.rejects_path == tmp_path / "bad"
    (reject,) = rejects_of(summary)
    assert [told["field"] for told in reject["fields"]] == [
        "status",
        "value",
        "clientProfileData.email",
    ]
    assert "handling" in reject["fields"][0]["allowed"]
    assert b"rodrigo" not in summary.rejects_path.read_bytes()
    assert stat.S_IMODE(summary.rejects_path.stat().st_mode) == 0o600


@pytest.mark.django_db
def test_orders_that_are_there_are_left_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "o", [numbered(0), numbered(1), numbered(0, value=5)])
    assert counts(import_file(path)) == (2, 1, 0)
    Order.objects.update(status="canceled")
    assert counts(import_file(path)) == (0, 3, 0)
    assert set(Order.objects.values_list("status", "value_cents")) == {("canceled", 1160)}
    assert OrderEvent.objects.count() == 2


@pytest.mark.django_db
def test_later_orders_get_numbers_beyond_the_imported(tmp_path: Path) -> None:
    (before,) = next_sequences(1)
    number = before + 10_000
    import_file(
        write(
            tmp_path / "o",
            [
                numbered(
                    0,
                ),
                numbered(1) | {"sequence": str(number)},
            ],
        )
    )
    assert next_sequences(1)[0] > number
    import_file(write(tmp_path / "p", [numbered(2) | {"sequence": None}]))
    assert Order.objects.get(order_id="1002-01").sequence > number


@pytest.mark.django_db
def test_numbers_go_up_by_one_to_nine() -> None:
    numbers = next_sequences(200)
    steps = {after - before for before, after in pairwise(numbers)}
    assert steps <= set(range(1, 10))
    assert len(steps) > 3
    assert numbers[0] > 500_000


@pytest.mark.django_db
def test_what_the_database_alone_can_see_rejects_one_order(tmp_path: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order ADD CONSTRAINT odd CHECK (order_id <> '1001-01')")
    summary = import_file(write(tmp_path / "o", [numbered(n) for n in range(3)]))
    assert counts(summary) == (2, 0, 1)
    (reject,) = rejects_of(summary)
    assert reject == {"line": 2, "reason": "refused by the database: odd", "orderId": "1001-01"}


@pytest.mark.django_db
def test_a_failing_batch_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    path = write(tmp_path / "o", [*(numbered(n) for n in range(4)), b"{"])

    def fail_on_the_second(pks: Sequence[int]) -> None:
        if Order.objects.count() > 2:
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        import_file(path, batch=2, on_inserted=fail_on_the_second)
    assert Order.objects.count() == OrderEvent.objects.count() == 2
    assert (run := ImportRun.objects.get()).state == "interrupted"
    assert run.line == 2
    seen: list[Sequence[int]] = []
    summary = import_file(path, batch=2, on_inserted=seen.append)
    assert (counts(summary), summary.resumed_after) == ((4, 0, 1), 2)
    assert [len(pks) for pks in seen] == [2]
    assert Order.objects.count() == OrderEvent.objects.count() == 4


@pytest.mark.django_db
def test_an_interrupted_import_can_begin_again(tmp_path: Path) -> None:
    path = write(tmp_path / "o", [numbered(n) for n in range(4)])
    with pytest.raises(KeyboardInterrupt):
        import_file(path, batch=2, progress=interrupt)
    assert ImportRun.objects.get().state == "interrupted"
    summary = import_file(path, batch=2, resume=False)
    assert (counts(summary), summary.resumed_after) == ((2, 2, 0), 0)


def interrupt(progress: ImportProgress) -> None:
    raise KeyboardInterrupt


@pytest.mark.django_db
def test_progress_counts_bytes_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "o.gz", [numbered(n) for n in range(5)])
    told: list[ImportProgress] = []
    import_file(path, batch=2, progress=told.append)
    assert [progress.lines for progress in told] == [2, 4, 5]
    assert told[-1].bytes_read == told[-1].bytes_total == path.stat().st_size


@pytest.mark.django_db
def test_a_cut_off_gzip_keeps_what_could_be_read(tmp_path: Path) -> None:
    path = write(tmp_path / "o.gz", [numbered(n) for n in range(2_000)])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(EOFError):
        import_file(path, batch=100)
    assert ImportRun.objects.get().state == "interrupted"
    assert Order.objects.count() == ImportRun.objects.get().imported_count >= 1_000


@pytest.mark.django_db
def test_a_line_beyond_reason_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oms.orders.lines.LONGEST_LINE", 20_000)
    long = numbered(1, openTextField="x" * 50_000)
    summary = import_file(write(tmp_path / "o", [numbered(0), long, numbered(2)]))
    assert counts(summary) == (2, 0, 1)
    assert rejects_of(summary) == [{"line": 2, "reason": "longer than 20000 bytes"}]


@pytest.mark.django_db(transaction=True)
def test_two_processes_do_not_import_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "o", [numbered(0)])
    monkeypatch.setattr(import_runs, "LOCK_PATIENCE_SECONDS", 0.3)
    fingerprint = import_runs.fingerprint_of(path)
    key = int.from_bytes(bytes.fromhex(fingerprint[:16]), "big", signed=True)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [key])
        with pytest.raises(ImportIsRunning):
            import_file(path)
    finally:
        other.close()
    assert Order.objects.count() == 0
    assert counts(import_file(path)) == (1, 0, 0)


@pytest.mark.django_db
def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    line = b"\xef\xbb\xbf" + orjson.dumps(numbered(0))
    assert counts(import_file(write(tmp_path / "o", [line]))) == (1, 0, 0)


@pytest.mark.django_db
def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "o", [numbered(0), b"{", numbered(0)])
    call_command("import_orders", str(path))
    words = capsys.readouterr().out
    assert words.startswith("3 lines: 1 orders imported, 1 already there, 1 rejected in ")
    assert words.rstrip().endswith(f"Rejects: {path}.rejects.ndjson")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/at/all"], "is not a file"),
        (["FILE", "--batch", "0"], "--batch"),
        (["FILE", "--rejects", "FILE"], "--rejects"),
    ],
)
def test_the_command_refuses_what_makes_no_sense(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    path = write(tmp_path / "o", [numbered(0)])
    with pytest.raises(CommandError, match=words):
        call_command("import_orders", *(str(path) if a == "FILE" else a for a in arguments))
    assert Order.objects.count() == 0


@pytest.mark.django_db
def test_open_orders_take_up_their_work_when_asked_to(tmp_path: Path) -> None:
    lines = [numbered(0, status="invoice"), numbered(1, status="invoiced"), numbered(2)]
    path = write(tmp_path / "o", lines)
    call_command("import_orders", str(path))
    assert WorkItem.objects.count() == 0
    more = [numbered(n, status=status) for n, status in ((3, "invoice"), (4, "invoiced"))]
    call_command("import_orders", str(write(tmp_path / "p", more)), "--resume-work")
    steps = set(WorkItem.objects.values_list("order__order_id", "step"))
    assert {order_id for order_id, _ in steps} == {"1003-01"}
    assert Order.objects.get(order_id="1003-01").budget_ends_at is not None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_import_continues_and_doubles_nothing(
    tmp_path: Path, database_url: str, sent: signal.Signals
) -> None:
    lines: list[Any] = [numbered(n) for n in range(600)]
    lines[50] = lines[300] = lines[550] = b"broken"
    path = write(tmp_path / "orders.ndjson", lines)
    kills = 0
    while True:
        process = start_import(path, database_url)
        wait_for_progress(process)
        if process.poll() is not None:
            break
        process.send_signal(sent)
        process.wait(timeout=30)
        kills += 1
        if kills == 3:
            assert start_import(path, database_url).wait(timeout=120) == 0
            break
    assert kills > 0
    assert Order.objects.count() == OrderEvent.objects.count() == Item.objects.count() == 597
    run = ImportRun.objects.get()
    assert (run.state, run.line) == ("finished", 600)
    assert (run.imported_count, run.skipped_count, run.rejected_count) == (597, 0, 3)
    told = Path(run.rejects_path).read_bytes().splitlines()
    assert [orjson.loads(line)["line"] for line in told] == [51, 301, 551]
    assert len(read_ledger(after=0, limit=1_000)) == 597


def start_import(path: Path, database_url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "manage.py", "import_orders", str(path), "--batch", "5"]
    return subprocess.Popen(
        command,
        env=os.environ | {"DATABASE_URL": database_url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_progress(process: subprocess.Popen[bytes]) -> None:
    """This function will return once the import came further than it was, or has ended."""
    before = Order.objects.count()
    deadline = time.monotonic() + 60
    while process.poll() is None and Order.objects.count() <= before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.django_db
def test_imported_orders_are_found_by_what_people_know(tmp_path: Path) -> None:
    import_file(write(tmp_path / "o", [numbered(0)]))
    for text in [
        "1000-01",
        "1000",
        "seq700000",
        "700000",
        "1172452900788-01",
        " Rodrigo.Smith@email.com ",
        "845.134.270-19",
        "84513427019",
        "+55 (61) 99222-7222",
        "61992227222",
        "TRK-48960684",
        "24382",
    ]:
        assert [order.order_id for order in find_orders(text)] == ["1000-01"], text
    for text in ["", "  ", "\x00", "nobody@email.com", "1000-0", "%", "1"]:
        assert find_orders(text) == [], text


@pytest.mark.django_db
def test_a_look_up_reads_indexes_alone(tmp_path: Path) -> None:
    import_file(write(tmp_path / "o", [numbered(0)]))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        for table, column, index in [
            ("orders_clientprofile", "email_key", "client_by_email"),
            ("orders_clientprofile", "document_key", "client_by_document"),
            ("orders_clientprofile", "phone_key", "client_by_phone"),
            ("orders_package", "tracking_number", "package_by_tracking_number"),
            ("orders_package", "invoice_number", "package_by_invoice_number"),
            ("orders_order", "marketplace_order_id", "order_by_marketplace_id"),
        ]:
            cursor.execute(f"EXPLAIN SELECT 1 FROM {table} WHERE {column} = 'x'")
            plan = "".join(row[0] for row in cursor.fetchall())
            # On so few rows newer servers may skip through a wider index just as well.
            assert index in plan or f"Index Cond: ({column} = " in plan
            cursor.execute("SELECT 1 FROM pg_indexes WHERE indexname = %s", [index])
            assert cursor.fetchone() == (1,)
