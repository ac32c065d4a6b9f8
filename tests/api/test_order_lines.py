"""What the log says of a call about one order."""

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from oms.access.authenticating import forget_all_cached_keys
from oms.access.scopes import Scope
from tests.api.callers import Caller
from tests.workflow.stories import order_of, place

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    forget_all_cached_keys()
    yield
    forget_all_cached_keys()


def test_an_access_line_names_the_order_that_was_found_and_nothing_that_was_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = order_of(place())
    caller = Caller([Scope.OMS_VIEWER])
    with caplog.at_level(logging.INFO, logger="oms.access_log"):
        caller.get(f"oms/pvt/orders/seq{order.sequence}")
        caller.get(f"oms/pvt/orders/{quote('ann@shop.example')}")
    lines: list[Any] = [r.msg for r in caplog.records if r.name == "oms.access_log"]
    assert [line["status"] for line in lines] == [200, 404]
    assert lines[0]["order_id"] == order.order_id
    assert "order_id" not in lines[1]
    assert "ann@" not in str(lines[1])
