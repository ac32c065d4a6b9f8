"""What our own serializer fields take, for the description."""

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension

from oms.api.description.operation import array
from oms.api.description.shapes import TEXT, WHOLE, thing


class CentsScheme(OpenApiSerializerFieldExtension):
    target_class = "oms.api.serializers.CentsField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": ["integer", "string"], "minimum": 0, "description": "Minor units."}


class TimestampScheme(OpenApiSerializerFieldExtension):
    target_class = "oms.api.serializers.TimestampField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "examples": ["2026-01-31T18:25:43Z"]}


class HourScheme(OpenApiSerializerFieldExtension):
    target_class = "oms.api.event_serializers.HourField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "examples": ["2026-01-31T18:00:00Z"]}


class KnownOrdersScheme(OpenApiSerializerFieldExtension):
    target_class = "oms.api.event_serializers.KnownOrdersField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        known = thing("orderId", orderId=TEXT, version=WHOLE, status=TEXT)
        return dict(array(known, maxItems=20_000))
