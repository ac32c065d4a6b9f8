"""The feed of a key: configuration, items, commits, replays; and the older feed over it."""

from typing import Final

from oms.api.description.operation import Operation, Operations, Query, array, ref
from oms.api.description.shapes import ANYTHING, TEXT, open_thing, thing
from oms.api.event_serializers import ReplayBody
from oms.api.views.feeds import FeedConfigView, FeedView, OldFeedConfirmView, OldFeedView
from oms.api.views.replays import ReplaysView

LOT: Final = (
    Query("maxlot", "How many, 1 to 10.", {"type": "integer", "minimum": 1}),
    Query("lot", "How many, 1 to 1,000: our extension.", {"type": "integer", "minimum": 1}),
)
HANDLES: Final = {
    "type": "object",
    "properties": {"handles": array(TEXT, minItems=1, maxItems=1_000)},
    "required": ["handles"],
}
CONFIGURATION: Final = open_thing("filter", filter=ref("Filter"), queue=ref("Queue"))
EXAMPLE: Final = {
    "filter": {"type": "FromWorkflow", "status": ["ready-for-handling"]},
    "queue": {"visibilityTimeoutInSeconds": 240, "messageRetentionPeriodInSeconds": 345_600},
}

FEEDS: Final[Operations] = {
    (FeedConfigView, "GET"): Operation(
        id="get_feed_config",
        tag="Feed",
        summary="See the feed's configuration, how much waits and how long",
        answers={200: ref("FeedConfiguration")},
        refusals=(404,),
    ),
    (FeedConfigView, "POST"): Operation(
        id="configure_feed",
        tag="Feed",
        summary="Configure the feed",
        text="One feed per app key. Misspelt statuses are refused with a suggestion.",
        body=CONFIGURATION,
        answers={200: ref("FeedConfiguration")},
        example=EXAMPLE,
    ),
    (FeedConfigView, "DELETE"): Operation(
        id="delete_feed",
        tag="Feed",
        summary="Delete the feed",
        answers={200: ANYTHING},
        refusals=(404,),
    ),
    (FeedView, "GET"): Operation(
        id="read_feed",
        tag="Feed",
        summary="Read the feed",
        text="Every item is handed out again when it is not committed within the visibility "
        "timeout. A later event of an order waits until the earlier one is committed.",
        query=LOT,
        answers={200: array(ref("FeedItem"))},
        refusals=(404,),
    ),
    (FeedView, "POST"): Operation(
        id="commit_feed",
        tag="Feed",
        summary="Commit items of the feed",
        text="Idempotent; the handle of an earlier hand-out still commits.",
        body=HANDLES,
        answers={200: ref("CommitResult")},
        example={"handles": ["eyJ…"]},
    ),
    (OldFeedView, "GET"): Operation(
        id="read_old_feed",
        tag="Feed",
        summary="Read the feed by its older names",
        query=LOT,
        answers={
            200: array(
                thing(
                    eventId=TEXT,
                    handle=TEXT,
                    domain=TEXT,
                    state=TEXT,
                    orderId=TEXT,
                    status=TEXT,
                    commitToken=TEXT,
                )
            )
        },
        refusals=(404,),
    ),
    (OldFeedConfirmView, "POST"): Operation(
        id="confirm_old_feed",
        tag="Feed",
        summary="Commit items by their older names",
        body={"anyOf": [array(thing(commitToken=TEXT)), HANDLES]},
        answers={200: ref("CommitResult")},
    ),
    (ReplaysView, "GET"): Operation(
        id="list_feed_replays",
        tag="Feed",
        summary="See replays and how far they have come",
        answers={200: thing(replays=array(ref("Replay")))},
        refusals=(404,),
    ),
    (ReplaysView, "POST"): Operation(
        id="replay_feed",
        tag="Feed",
        summary="Ask for events again",
        text="From a time, from a position, or of given orders; marked `isReplay`.",
        body=ReplayBody,
        answers={202: ref("Replay")},
        refusals=(404,),
    ),
}
