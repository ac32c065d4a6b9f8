"""Lines in an order's log, and messages between store and buyer: written once, read, never changed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from typing import Any, Final

from oms.orders.documents.kinds import moment_text
from oms.orders.models import ConversationMessage, Interaction, Order

FIRST_WORDS: Final = 120
_UNSPOKEN: Final = re.compile(r"<(style|script|title)\b.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_TAG: Final = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who wrote or was written to."""

    email: str
    name: str = ""
    role: str = ""


def add_interaction(*, order: Order, source: str, message: str, actor: str) -> Interaction:
    """This function will add a line to the log of an order; the order itself does not change."""
    return Interaction.objects.create(order=order, source=source, message=message, actor=actor)


def record_message(
    *,
    order: Order,
    message_id: str,
    sender: Party,
    recipients: Sequence[Party],
    subject: str,
    body: str,
    sent_at: datetime,
    attachment_names: Sequence[str] = (),
) -> ConversationMessage:
    """This function will keep a message that was sent; the same one again is the one kept."""
    message, _ = ConversationMessage.objects.get_or_create(
        order=order,
        message_id=message_id,
        defaults={
            "sender_name": sender.name,
            "sender_email": sender.email,
            "sender_role": sender.role,
            "recipients": [
                {"email": party.email, "name": party.name, "role": party.role}
                for party in recipients
            ],
            "subject": subject,
            "body": body,
            "first_words": first_words(body),
            "attachment_names": list(attachment_names),
            "sent_at": sent_at,
        },
    )
    return message


def first_words(body: str) -> str:
    """This function will return how a message begins, without the markup of HTML."""
    spoken = unescape(_TAG.sub(" ", _UNSPOKEN.sub(" ", body)))
    return " ".join(spoken.split())[:FIRST_WORDS]


def conversation(order: Order) -> list[dict[str, Any]]:
    """This function will tell an order's messages as the contract spells them, oldest first."""
    messages = ConversationMessage.objects.filter(order=order).order_by("sent_at", "pk")
    return [_told(message, order.order_id) for message in messages]


def _told(message: ConversationMessage, order_id: str) -> dict[str, Any]:
    sender = {
        "email": message.sender_email,
        "name": message.sender_name,
        "role": message.sender_role,
    }
    return {
        "id": message.message_id,
        "from": _party(sender, order_id),
        "to": [_party(party, order_id) for party in message.recipients],
        "subject": message.subject,
        "firstWords": message.first_words,
        "body": message.body,
        "hasAttachment": bool(message.attachment_names),
        "attachmentNames": message.attachment_names,
        "date": moment_text(message.sent_at),
    }


def _party(party: dict[str, str], order_id: str) -> dict[str, Any]:
    """Addresses are not hidden behind aliases here: the alias is the address (mask type 0)."""
    return {
        "conversationRelatedTo": order_id,
        "conversationSubject": "oms",
        "emailAlias": party["email"],
        "aliasMaskType": 0,
        "email": party["email"],
        "name": party["name"],
        "role": party["role"] or None,
    }
