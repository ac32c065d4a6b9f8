"""Delivers hooks until it is told to stop: `manage.py dispatch_hooks`."""

import asyncio
import signal
from typing import Any

from django.core.management.base import BaseCommand

from feeds.hooks.dispatching import Dispatcher


class Command(BaseCommand):
    help = "Delivers hooks to their receivers. Several may run, on one host or many."

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(_dispatch())


async def _dispatch() -> None:
    dispatcher = Dispatcher()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, dispatcher.stop)
    await dispatcher.run()
