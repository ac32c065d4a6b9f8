"""Try an expression against a document before a feed or hook is configured with it."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feeds.expressions import Expression, compile_expression, warnings_for
from feeds.refusals import FeedRefused, Problem
from feeds.trying import trying_in_turn
from oms.api.parsing import BodyRefused, parse_json_body

# Expressions see a document of this many bytes at most: the evaluator has little memory.
LARGEST_DOCUMENT = 1024 * 1024


class ExpressionTestView(APIView):
    """POST /api/orders/expressions/jsonata: `true` or `false`."""

    required_scopes: ClassVar[dict[str, set[str]]] = {
        "POST": {"FeedHookV3Viewer", "FeedHookV3Admin", "OrdersFullAccess"}
    }

    def post(self, request: Request) -> Response:
        body: Any = request.data
        given = {str(name).lower(): value for name, value in body.items()}
        document = _document(given.get("document"))
        with trying_in_turn():
            expression = _expression(given.get("expression"))
            is_match = expression.matches(document)
        # The body is the contract's bare boolean, so what else there is to say goes beside it.
        warnings = " ".join(warnings_for(expression, [document]))
        told = warnings.encode("ascii", "backslashreplace").decode()[:1_000]
        return Response(is_match, headers={"X-Expression-Warning": told} if told else None)


def _expression(given: object) -> Expression:
    if not isinstance(given, str):
        raise FeedRefused(Problem("Expression", "Expected a JSONata expression as text."))
    return compile_expression(_unescaped(given))


def _document(given: object) -> Mapping[str, Any]:
    if isinstance(given, dict):
        return given
    if not isinstance(given, str) or not given.strip():
        raise FeedRefused(Problem("Document", "Expected the text of a JSON object."))
    if len(given) > LARGEST_DOCUMENT:
        raise FeedRefused(Problem("Document", f"At most {LARGEST_DOCUMENT} characters."))
    try:
        document = parse_json_body(_unescaped(given).encode())
    except BodyRefused as refusal:
        raise FeedRefused(Problem("Document", str(refusal.detail))) from refusal
    assert isinstance(document, dict)
    return document


def _unescaped(text: str) -> str:
    r"""The contract's own example is escaped twice: `status = \"canceled\"` arrives with its `\`."""
    return text if _PLAIN_QUOTE.search(text) else text.replace('\\"', '"')


_PLAIN_QUOTE: Final = re.compile(r'(?<!\\)"')
