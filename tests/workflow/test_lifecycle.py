from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from oms.orders.statuses import Flow
from workflow.flows import TABLES
from workflow.lifecycle import render_lifecycle, statuses_of


def test_the_committed_page_is_what_the_tables_say() -> None:
    call_command("print_lifecycle", check=True)


def test_a_page_that_differs_is_refused_with_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "lifecycle.md"
    call_command("print_lifecycle", file=page)
    call_command("print_lifecycle", file=page, check=True)
    page.write_text(page.read_text().replace("`order.canceled`", "`order.cancelled`", 1))
    with pytest.raises(CommandError, match="print_lifecycle"):
        call_command("print_lifecycle", file=page, check=True)
    assert "order.cancelled" in capsys.readouterr().err


def test_a_missing_page_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError):
        call_command("print_lifecycle", file=tmp_path / "none.md", check=True)


def test_the_page_has_every_row_and_status_of_every_flow() -> None:
    sections = render_lifecycle().split("\n## ")[1:]
    for flow, section in zip(Flow, sections, strict=True):
        lines = section.splitlines()
        for (status, action), reached in TABLES[flow].items():
            row = f"| `{status}` | `{action}` | `{reached}` |"
            assert sum(line.startswith(row) for line in lines) == 1
        for status in statuses_of(flow):
            assert sum(line.startswith(f'    state "{status}" as ') for line in lines) == 1
