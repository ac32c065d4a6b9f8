"""The hook of a key, and trying an expression before feed or hook is configured with it."""

from typing import Final

from oms.api.description.feeds import EXAMPLE
from oms.api.description.operation import Operation, Operations, array, ref
from oms.api.description.shapes import (
    ANYTHING,
    FLAG,
    NULLABLE_TEXT,
    NULLABLE_TIME,
    TEXT,
    WHOLE,
    open_thing,
    thing,
)
from oms.api.views.expressions import ExpressionTestView
from oms.api.views.hooks import (
    HookConfigView,
    HookResendView,
    HookSecretView,
    HookTestView,
    ResendBody,
)

DESTINATION: Final = open_thing(
    "url",
    url={"type": "string", "description": "https, answered 200 when the hook is configured."},
    headers={"type": "object", "additionalProperties": TEXT},
)
CONFIGURATION: Final = open_thing(
    "filter hook",
    filter=ref("Filter"),
    hook=DESTINATION,
    status=TEXT,
    disabledReason=NULLABLE_TEXT,
    disabledAt=NULLABLE_TIME,
    failingSince=NULLABLE_TIME,
    lastSuccessAt=NULLABLE_TIME,
    lastError=NULLABLE_TEXT,
    quantity=WHOLE,
    parkedQuantity=WHOLE,
    secret={"type": "string", "description": "Told once, when the hook is made."},
    warnings=array(TEXT),
)

HOOKS: Final[Operations] = {
    (HookConfigView, "GET"): Operation(
        id="get_hook_config",
        tag="Hook",
        summary="See the hook's configuration and how its receiver is doing",
        answers={200: CONFIGURATION},
        refusals=(404,),
    ),
    (HookConfigView, "POST"): Operation(
        id="configure_hook",
        tag="Hook",
        summary="Configure the hook",
        text='The receiver is sent `{"hookConfig": "ping"}` and must answer 200 within 5 seconds.',
        body=open_thing("filter hook", filter=ref("Filter"), hook=DESTINATION),
        answers={200: CONFIGURATION},
        example={
            "filter": EXAMPLE["filter"],
            "hook": {"url": "https://erp.example/orders", "headers": {"key": "value"}},
        },
    ),
    (HookConfigView, "DELETE"): Operation(
        id="delete_hook",
        tag="Hook",
        summary="Delete the hook",
        answers={200: ANYTHING},
        refusals=(404,),
    ),
    (HookSecretView, "POST"): Operation(
        id="rotate_hook_secret",
        tag="Hook",
        summary="Get a new signing secret",
        text="Told once; the old one signs as well until `previousSecretEndsAt`.",
        answers={200: thing(secret=TEXT, previousSecretEndsAt=NULLABLE_TIME)},
        refusals=(404,),
    ),
    (HookTestView, "POST"): Operation(
        id="test_hook",
        tag="Hook",
        summary="Call the receiver now",
        answers={
            200: thing(
                success=FLAG,
                status={"type": ["integer", "null"]},
                error=TEXT,
                answer=TEXT,
                durationInMilliseconds=WHOLE,
            )
        },
        refusals=(404,),
    ),
    (HookResendView, "POST"): Operation(
        id="resend_hook",
        tag="Hook",
        summary="Send again what failed, or a stretch of time",
        body=ResendBody,
        answers={200: thing(queued=WHOLE)},
        refusals=(404,),
        example={"failed": True},
    ),
    (ExpressionTestView, "POST"): Operation(
        id="try_expression",
        tag="Feed",
        summary="Try an expression on a document",
        text="Answers `true` or `false`; `X-Expression-Warning` names what no order has.",
        body=open_thing(
            "Expression Document",
            Expression={"type": "string", "description": "JSONata."},
            Document={"type": "string", "description": "The text of an order's document."},
        ),
        answers={200: FLAG},
        example={"Expression": 'status = "invoiced"', "Document": '{"status": "invoiced"}'},
    ),
}
