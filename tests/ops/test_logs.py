"""Each test runs a process of its own: logging is configured once in a process, for all of it."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from oms.ops.redaction import HIDDEN, is_sensitive_key, redact_text

SETUP = """
import logging, structlog
from oms.ops.logs import bind_order, bind_request, bind_task, configure, logging_config
configure(logging_config("INFO", "workflow"))
log = structlog.get_logger("workflow.runner")
"""


def lines_of(program: str) -> list[dict[str, Any]]:
    """Runs the program and reads what it logged; Django is not even imported."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + program], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_line_says_when_how_bad_who_and_about_what() -> None:
    (line,) = lines_of(
        "with bind_task('t-1'), bind_order('v502-01'):\n    log.info('moved', status='invoiced')"
    )
    assert line.pop("timestamp").endswith("Z")
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "event": "moved",
        "level": "info",
        "logger": "workflow.runner",
        "role": "workflow",
        "task_id": "t-1",
        "order_id": "v502-01",
        "status": "invoiced",
    }


def test_what_a_line_is_about_is_forgotten_after_the_block() -> None:
    inside, outside = lines_of(
        "with bind_request('r-1'):\n    log.info('inside')\nlog.info('outside')"
    )
    assert inside["request_id"] == "r-1"
    assert "request_id" not in outside


def test_lines_of_other_libraries_have_the_same_shape() -> None:
    (line,) = lines_of(
        "with bind_task('t-2'):\n    logging.getLogger('django-q').info('%s ready', 'worker')"
    )
    assert line["event"] == "worker ready"
    assert line["logger"] == "django-q"
    assert line["role"] == "workflow"
    assert line["task_id"] == "t-2"


def test_the_pid_is_that_of_the_process_that_writes_even_after_a_fork() -> None:
    lines = lines_of(
        "import os\nlog.info('parent')\nchild = os.fork()\n"
        "log.info('child') if child == 0 else os.waitpid(child, 0)"
    )
    assert lines[0]["pid"] != lines[1]["pid"]


def test_personal_data_and_secrets_are_hidden_by_their_names_at_any_depth() -> None:
    (line,) = lines_of(
        "log.info('read', clientEmail='a@b.example', headers={'X-VTEX-API-AppToken': 'secret',"
        " 'Accept': '*/*', 'Cookie': 'x'}, rows=[{'document': 123, 'sku': 'A1'}])"
    )
    assert line["clientEmail"] == HIDDEN
    assert line["headers"] == {"X-VTEX-API-AppToken": HIDDEN, "Accept": "*/*", "Cookie": HIDDEN}
    assert line["rows"] == [{"document": HIDDEN, "sku": "A1"}]


def test_a_traceback_has_no_values_of_variables_and_no_failing_row() -> None:
    (line,) = lines_of(
        "def work(password):\n"
        "    raise ValueError('bad row\\nDETAIL:  Failing row contains (1, Ann\\nLee, 11).')\n"
        "try:\n    work('hunter2')\nexcept ValueError:\n    log.exception('failed')"
    )
    assert "Traceback (most recent call last)" in line["exception"]
    assert "bad row" in line["exception"]
    assert "hunter2" not in json.dumps(line).replace("work('hunter2')", "")
    assert "Ann" not in line["exception"]
    assert "Lee" not in line["exception"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no user ann.lee+1@shop.example here", "no user [hidden e-mail] here"),
        ("/orders/ann%40shop.example", "/orders/[hidden e-mail]"),
        ("Key broken\nDETAIL:  Key (email)=(x) exists.", "Key broken\nDETAIL:  [hidden]\n"),
        (
            "a\nDETAIL:  row (x\ny)\nHINT:  try",
            "a\nDETAIL:  [hidden]\nHINT:  try",
        ),
        ("x" * 5000, "x" * 4000 + "… (5000 characters)"),
    ],
)
def test_free_text_is_cleaned(text: str, shown: str) -> None:
    assert redact_text(text) == shown


@pytest.mark.parametrize(
    ("key", "sensitive"),
    [
        ("email", True),
        ("Customer-Phone", True),
        ("HTTP_AUTHORIZATION", True),
        ("receiverName", True),
        ("gzip", False),
        ("discarded", False),
        ("app_key", False),
        ("order_id", False),
        ("seller", False),
    ],
)
def test_keys_are_judged_by_the_words_in_them(key: str, sensitive: bool) -> None:
    assert is_sensitive_key(key) is sensitive


def test_a_line_that_json_cannot_hold_is_written_all_the_same() -> None:
    (line,) = lines_of("log.info('odd', text='\\ud800', number=2**70, thing=object())")
    assert line["number"] == 2**70
    assert line["text"] == "\ud800"


def test_a_quoted_line_break_cannot_forge_a_line() -> None:
    (line,) = lines_of("log.info('path', path='/x\\n{\"event\": \"forged\"}')")
    assert line["path"] == '/x\n{"event": "forged"}'


def test_levels_below_the_configured_one_and_sql_are_silent() -> None:
    assert (
        lines_of("log.debug('x'); logging.getLogger('django.db.backends').debug('SELECT')") == []
    )


def test_a_terminal_gets_coloured_text_without_control_characters_of_others() -> None:
    terminal, other_side = pty.openpty()
    program = SETUP + "log.info('moved', path='\\x1b]0;title\\x07')"
    subprocess.run([sys.executable, "-c", program], stderr=other_side, check=True)
    os.close(other_side)
    text = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert "moved" in text
    assert "\x1b[" in text
    assert "\x1b]0;" not in text
    assert "\\x1b]0;title\\x07" in text
