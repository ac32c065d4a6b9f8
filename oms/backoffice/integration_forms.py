"""What is asked before an act on an integration: the reason, and what the act itself needs."""

from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.http import QueryDict

from feeds.replaying import MOST_ORDERS, Wanted
from oms.backoffice.times import store_zone

MAX_REASON: Final = 1_000
MOST_REQUEUED: Final = 500
# What a browser sends for a date with a time: to the minute, or to the second.
_MOMENTS: Final = ("%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M")


class ReasonForm(forms.Form):
    """Why somebody does something; kept in the audit log."""

    reason = forms.CharField(
        max_length=MAX_REASON,
        error_messages={"required": "Say why; it is kept in the audit log."},
    )

    def arguments(self) -> dict[str, Any]:
        """This function will return what the act needs besides the reason."""
        return {}


class MomentField(forms.DateTimeField):
    """A moment as somebody in the store reads it off a clock."""

    def __init__(self) -> None:
        super().__init__(
            required=False,
            input_formats=_MOMENTS,
            error_messages={"invalid": "Give a day and a time, such as 2026-01-31 09:30."},
        )

    def clean(self, value: Any) -> datetime | None:
        moment = super().clean(value)
        return moment.replace(tzinfo=store_zone()) if moment else None


class ReplayForm(ReasonForm):
    """One of: from a time, from a position, for some orders."""

    from_time = MomentField()
    until_time = MomentField()
    from_position = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    order_ids = forms.CharField(required=False, max_length=100_000)

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        ways = [given.get(name) for name in ("from_time", "from_position", "order_ids")]
        if not self.errors and sum(bool(way) for way in ways) != 1:
            raise forms.ValidationError("Fill in one of the three: a time, a position or orders.")
        if given.get("until_time") and not given.get("from_time"):
            raise forms.ValidationError("An end goes with a time to begin at.")
        if len(self._order_ids()) > MOST_ORDERS:
            raise forms.ValidationError(f"At most {MOST_ORDERS:,} orders at once.")
        return given

    def arguments(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "wanted": Wanted(
                from_time=given["from_time"],
                until_time=given["until_time"],
                from_position=given["from_position"],
                order_ids=self._order_ids() or None,
            )
        }

    def _order_ids(self) -> list[str]:
        text = self.cleaned_data.get("order_ids") or ""
        return list(dict.fromkeys(text.replace(",", " ").split()))


class RotateForm(ReasonForm):
    has_leaked = forms.BooleanField(required=False)

    def arguments(self) -> dict[str, Any]:
        return {"overlap": timedelta(0) if self.cleaned_data["has_leaked"] else None}


class RequeueForm(ReasonForm):
    """Which events, by their keys in the queue: several hidden fields of one name."""

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        # The table of events asks for this page; only what the page itself sends is to be done.
        self.is_bound = data is not None and "form_id" in data
        given = data.getlist("item") if data is not None else []
        self.item_pks = [int(pk) for pk in given if pk.isascii() and pk.isdigit() and len(pk) < 19]

    def clean(self) -> dict[str, Any]:
        if not 0 < len(self.item_pks) <= MOST_REQUEUED:
            raise forms.ValidationError(f"Select 1 to {MOST_REQUEUED} events.")
        return super().clean() or {}

    def arguments(self) -> dict[str, Any]:
        return {"item_pks": self.item_pks}
