"""Bodies of the order API: what the contract sends, checked and turned into what services take."""

import re
from typing import Any

from rest_framework import serializers

from oms.orders.documents.errors import NotTaken
from oms.orders.documents.kinds import parse_moment
from oms.orders.models import InvoiceType
from workflow.services.invoicing import Invoice, InvoicedLine
from workflow.services.tracking import Shipment

LARGEST_CENTS = 2**53
DIGITS = re.compile(r"\d{1,20}", re.ASCII)
EARLIEST_YEAR, LATEST_YEAR = 1900, 2999
LONGEST_EMBEDDED = 2 * 1024 * 1024


class TimestampField(serializers.CharField):
    """ISO 8601 as real clients send it: any number of fraction digits, UTC if without offset."""

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            moment = parse_moment(text)
        except NotTaken:
            moment = None
        # Near the ends of the calendar a time cannot be told in every zone, nor be read back.
        if moment is None or not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
            raise serializers.ValidationError("Expected a date such as 2026-01-31T18:25:43-05:00.")
        return moment


class CentsField(serializers.Field[int, Any, Any, Any]):
    """Minor units as an integer or a string of digits; the contract uses both."""

    def to_internal_value(self, data: Any) -> int:
        is_number = isinstance(data, int) and not isinstance(data, bool)
        if not is_number and not (isinstance(data, str) and DIGITS.fullmatch(data.strip())):
            raise serializers.ValidationError("Expected cents as a whole number, such as 2499.")
        value = int(data)
        if not 0 <= value <= LARGEST_CENTS:
            raise serializers.ValidationError(f"Expected 0 to {LARGEST_CENTS} cents.")
        return value

    def to_representation(self, value: int) -> int:
        return value


def _text(max_length: int) -> serializers.CharField:
    return serializers.CharField(
        max_length=max_length, required=False, allow_null=True, allow_blank=True, default=""
    )


class CancelBody(serializers.Serializer[Any]):
    reason = _text(2000)


class DenyCancellationBody(serializers.Serializer[Any]):
    cancellationRequestId = serializers.UUIDField(required=False, allow_null=True, default=None)
    denyReason = _text(2000)


class PaymentNotificationBody(serializers.Serializer[Any]):
    """The contract sends no body: approved. `status` denied is our extension."""

    status = serializers.ChoiceField(choices=["approved", "denied"], default="approved")
    reason = _text(2000)


class InvoicedLineBody(serializers.Serializer[Any]):
    id = serializers.CharField(max_length=80, required=False)
    uniqueId = serializers.CharField(max_length=64, required=False)
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000)
    price = CentsField()
    description = _text(400)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("id") and not attrs.get("uniqueId"):
            raise serializers.ValidationError({"id": "An item needs its id or its uniqueId."})
        return attrs


class ShipmentBody(serializers.Serializer[Any]):
    trackingNumber = _text(160)
    trackingUrl = _text(2000)
    courier = _text(160)
    dispatchedDate = TimestampField(required=False, allow_null=True, default=None)

    def shipment(self) -> Shipment:
        body = self.validated_data
        return Shipment(
            tracking_number=body["trackingNumber"] or "",
            tracking_url=body["trackingUrl"] or "",
            courier=body["courier"] or "",
            dispatched_at=body["dispatchedDate"],
        )


class InvoiceBody(ShipmentBody):
    type = serializers.ChoiceField(choices=InvoiceType.values, default=InvoiceType.OUTPUT)
    issuanceDate = TimestampField()
    invoiceNumber = serializers.CharField(max_length=512, trim_whitespace=False)
    invoiceValue = CentsField()
    invoiceKey = _text(255)
    invoiceUrl = _text(2000)
    embeddedInvoice = _text(LONGEST_EMBEDDED)
    items = InvoicedLineBody(many=True, required=False, allow_null=True, default=list)

    def invoice(self) -> Invoice:
        body = self.validated_data
        return Invoice(
            type=InvoiceType(body["type"]),
            number=body["invoiceNumber"],
            value_cents=body["invoiceValue"],
            issued_at=body["issuanceDate"],
            key=body["invoiceKey"] or "",
            url=body["invoiceUrl"] or "",
            embedded=body["embeddedInvoice"] or "",
            lines=[
                InvoicedLine(
                    reference=line.get("uniqueId") or line["id"],
                    quantity=line["quantity"],
                    price_cents=line["price"],
                    description=line["description"] or "",
                )
                for line in body["items"] or ()
            ],
            shipment=self.shipment(),
        )


class TrackingEventBody(serializers.Serializer[Any]):
    city = _text(160)
    state = _text(80)
    description = _text(4000)
    date = TimestampField()


class TrackingBody(serializers.Serializer[Any]):
    isDelivered = serializers.BooleanField(default=False)
    deliveredDate = TimestampField(required=False, allow_null=True, default=None)
    events = TrackingEventBody(many=True, required=False, allow_null=True, default=list)

    def events_told(self) -> list[dict[str, str]]:
        return [
            {
                "date": event["date"].isoformat(),
                "city": event["city"] or "",
                "state": event["state"] or "",
                "description": event["description"] or "",
            }
            for event in self.validated_data["events"] or ()
        ]
