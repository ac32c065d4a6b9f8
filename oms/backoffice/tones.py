"""The color of a status, the same on every page. Tones are classes of backoffice.css."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from oms.orders.statuses import Status

S = Status


class Tone(StrEnum):
    NEUTRAL = "neutral"
    BUSY = "busy"
    WAIT = "wait"
    READY = "ready"
    WORK = "work"
    GOOD = "good"
    LEAVING = "leaving"
    GONE = "gone"
    BAD = "bad"


# What somebody must do something about is amber or violet; what moves by itself is blue.
TONES: Final[Mapping[Status, Tone]] = {
    S.NULL: Tone.NEUTRAL,
    S.ORDER_CREATED: Tone.BUSY,
    S.ORDER_CREATE_ERROR: Tone.BAD,
    S.ORDER_CREATION_ERROR: Tone.BAD,
    S.ORDER_ACCEPTED: Tone.BUSY,
    S.ON_ORDER_COMPLETED: Tone.BUSY,
    S.ON_ORDER_COMPLETED_FFM: Tone.BUSY,
    S.WAITING_FOR_AUTHORIZATION: Tone.BUSY,
    S.WAITING_FOR_ORDER_AUTHORIZATION: Tone.WAIT,
    S.PAYMENT_PENDING: Tone.WAIT,
    S.APPROVE_PAYMENT: Tone.BUSY,
    S.PAYMENT_APPROVED: Tone.BUSY,
    S.PAYMENT_DENIED: Tone.BAD,
    S.WINDOW_TO_CHANGE_PAYMENT: Tone.WAIT,
    S.WINDOW_TO_CHANGE_SELLER: Tone.WAIT,
    S.WAITING_FFMT_AUTHORIZATION: Tone.WAIT,
    S.WAITING_FOR_MANUAL_AUTHORIZATION: Tone.WAIT,
    S.WAITING_FOR_FULFILLMENT: Tone.WAIT,
    S.AUTHORIZE_FULFILLMENT: Tone.BUSY,
    S.WAITING_FOR_MKT_AUTHORIZATION: Tone.WAIT,
    S.WAITING_SELLER_HANDLING: Tone.WAIT,
    S.WINDOW_TO_CANCEL: Tone.BUSY,
    S.READY_FOR_HANDLING: Tone.READY,
    S.START_HANDLING: Tone.WORK,
    S.HANDLING: Tone.WORK,
    S.READY_FOR_INVOICING: Tone.READY,
    S.INVOICE: Tone.WORK,
    S.INVOICED: Tone.GOOD,
    S.INVOICE_AFTER_CANCELLATION_DENY: Tone.WORK,
    S.REQUEST_CANCEL: Tone.LEAVING,
    S.WAITING_FOR_SELLER_DECISION: Tone.LEAVING,
    S.CANCELLATION_REQUESTED: Tone.LEAVING,
    S.CANCELLATION_REQUEST_DENIED_FFM: Tone.BUSY,
    S.CANCEL: Tone.LEAVING,
    S.CANCELED: Tone.GONE,
    S.REPLACED: Tone.GONE,
}


def tone_of(status: str) -> Tone:
    return TONES[Status(status)] if status in set(Status) else Tone.NEUTRAL
