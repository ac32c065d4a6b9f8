"""What a running sandbox holds in memory, shared by its services and its control surface."""

from dataclasses import dataclass

from aiohttp import web

from workflow.sandbox.agenda import Agenda
from workflow.sandbox.carrier import Carrier
from workflow.sandbox.decisions import Policy
from workflow.sandbox.effects import EffectBook
from workflow.sandbox.faults import FaultBoard
from workflow.sandbox.journal import Entry, Journal


@dataclass(frozen=True, slots=True)
class Sandbox:
    journal: Journal
    book: EffectBook
    carrier: Carrier
    faults: FaultBoard
    policy: Policy
    agenda: Agenda

    def apply(self, entry: Entry) -> None:
        self.book.apply(entry)
        self.carrier.apply(entry)
        self.agenda.apply(entry)


STATE: web.AppKey[Sandbox] = web.AppKey("state", Sandbox)
