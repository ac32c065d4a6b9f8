"""Notes of staff: an order's memory beside its status."""

from django.db import transaction

from oms.orders.locks import lock_order
from oms.orders.models import Note
from workflow.moves import Change, write_change
from workflow.services.refusals import InvalidInput, Problem

MAX_LENGTH = 5_000


@transaction.atomic
def add_note(*, order_id: str, text: str, actor: str) -> Note:
    """
    This function will add a note to an order; the timeline says who wrote one, not what.

    Notes may hold personal data and can be corrected, events cannot: so the text stays out of the
    event. Raises OrderNotFound, InvalidInput for a text that is empty or too long.
    """
    text = text.strip()
    if not text or len(text) > MAX_LENGTH:
        raise InvalidInput(Problem("text", f"A note has 1 to {MAX_LENGTH} characters."))
    order = lock_order(order_id)
    note = Note.objects.create(
        order_id=order.pk, author=actor, text=text, created_at=order.read_at
    )
    write_change(Change(order=order, actor=actor, kind="note.added", data={"noteId": note.pk}))
    return note
