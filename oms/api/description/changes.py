"""Changing an order: items, prices, and who sells it."""

from typing import Final

from oms.api.description.operation import Operation, Operations, array, ref
from oms.api.description.shapes import ANYTHING, TEXT, WHOLE, open_thing
from oms.api.views.changes import (
    CancelChangeView,
    ChangeSettingsView,
    ChangeSummaryView,
    ChangesView,
    ChangeView,
    FirstVersionBody,
    FirstVersionChangesView,
    PreviewChangeView,
    RetryChangeView,
)
from oms.api.views.seller_changes import (
    ChangeSellerView,
    NewSellerBody,
    WindowBody,
    WindowToChangeSellerView,
)

SIDE: Final = open_thing("items", items=array(ANYTHING))
CHANGE: Final = open_thing(
    "reason",
    reason=TEXT,
    requestId={"type": "string", "description": "Yours: a repetition answers the same request."},
    manualDiscountValue=WHOLE,
    manualIncrementValue=WHOLE,
    add=SIDE,
    remove=SIDE,
    replace=array(ANYTHING),
)
EXAMPLE: Final = {
    "reason": "Out of stock.",
    "remove": {"items": [{"uniqueId": "94913BB553334977BFD669A24E678C69", "quantity": 1}]},
}

CHANGES: Final[Operations] = {
    (ChangesView, "PATCH"): Operation(
        id="request_change",
        tag="Changes",
        summary="Ask for a change of an order",
        text="Applied at once where no money has to move first.",
        body=CHANGE,
        answers={202: ANYTHING},
        refusals=(404,),
        example=EXAMPLE,
    ),
    (ChangesView, "GET"): Operation(
        id="list_changes",
        tag="Changes",
        summary="See what changes were asked for",
        answers={200: open_thing("requests", requests=array(ANYTHING))},
        refusals=(404,),
    ),
    (ChangeView, "GET"): Operation(
        id="get_change",
        tag="Changes",
        summary="See one request, its status and its log",
        answers={200: ANYTHING},
        refusals=(404,),
    ),
    (PreviewChangeView, "POST"): Operation(
        id="preview_change",
        tag="Changes",
        summary="See what a change would come to",
        text="Changes nothing.",
        body=CHANGE,
        answers={200: ANYTHING},
        refusals=(404,),
        example=EXAMPLE,
    ),
    (RetryChangeView, "POST"): Operation(
        id="retry_change",
        tag="Changes",
        summary="Try a change again",
        answers={204: None},
        refusals=(404,),
    ),
    (CancelChangeView, "POST"): Operation(
        id="cancel_change",
        tag="Changes",
        summary="Give a change up",
        answers={200: None},
        refusals=(404,),
    ),
    (ChangeSummaryView, "GET"): Operation(
        id="summarize_changes",
        tag="Changes",
        summary="See all applied changes in one",
        answers={200: ANYTHING},
        refusals=(404,),
    ),
    (ChangeSettingsView, "GET"): Operation(
        id="get_change_settings",
        tag="Changes",
        summary="See the settings of changes",
        answers={200: ANYTHING},
    ),
    (ChangeSettingsView, "PUT"): Operation(
        id="set_change_settings",
        tag="Changes",
        summary="Set the settings of changes",
        text="What is not told stays as it is.",
        body=ANYTHING,
        answers={200: ANYTHING},
    ),
    (FirstVersionChangesView, "POST"): Operation(
        id="request_change_first_version",
        tag="Changes",
        summary="Ask for a change in the words of the contract's first version",
        body=FirstVersionBody,
        answers={200: ref("Receipt")},
        refusals=(404,),
    ),
    (ChangeSellerView, "PUT"): Operation(
        id="change_seller",
        tag="Changes",
        summary="Give an order to another seller",
        body=NewSellerBody,
        answers={200: ref("Receipt")},
        refusals=(404,),
        example={"newSellerId": "seller-2"},
    ),
    (WindowToChangeSellerView, "GET"): Operation(
        id="get_window_to_change_seller",
        tag="Changes",
        summary="See for how many days an order waits for another seller",
        answers={200: WHOLE},
    ),
    (WindowToChangeSellerView, "POST"): Operation(
        id="set_window_to_change_seller",
        tag="Changes",
        summary="Set for how many days an order waits for another seller",
        body=WindowBody,
        answers={201: None},
        example={"waitingTime": 2},
    ),
}
