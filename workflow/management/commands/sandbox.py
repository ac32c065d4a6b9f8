"""`manage.py sandbox`: the outside services for the demo and the tests, on loopback."""

import asyncio
import contextlib
import os
import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from oms.env import env_secret
from workflow.sandbox.decisions import Policy
from workflow.sandbox.faults import MODES
from workflow.sandbox.server import RunningSandbox, SandboxOptions
from workflow.sandbox.shop_api import ShopApi
from workflow.sandbox.trickle import Trickle

SHARES = {
    "--deny-share": "orders that antifraud denies",
    "--payment-deny-share": "orders whose payment the gateway denies",
    "--refuse-share": "orders whose items the stock cannot reserve",
    "--pending-share": "orders whose verdict is pending at first",
}
FAULT_HELP = "; ".join(f"{mode}: {meaning}" for mode, meaning in MODES.items())


class Command(BaseCommand):
    help = (
        "Serves antifraud, payments, stock and carrier over HTTP, with faults on demand "
        f"(POST /control/faults, modes are {FAULT_HELP})."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8011, help="0 takes a free one")
        parser.add_argument("--journal", type=Path, help="file that keeps the books over restarts")
        for option, meaning in SHARES.items():
            parser.add_argument(
                option, type=share, default=0.0, help=f"share of {meaning}, 0 to 1"
            )
        parser.add_argument("--pending-seconds", type=float, default=30.0)
        parser.add_argument(
            "--transit-seconds", type=float, default=settings.SANDBOX_TRANSIT_SECONDS
        )
        parser.add_argument("--seed", type=int, help="makes faults and the trickle repeatable")
        parser.add_argument(
            "--trickle", type=float, metavar="ORDERS_PER_MINUTE", help="place live demo orders"
        )
        parser.add_argument("--api", help="base address of the order API, for --trickle")
        parser.add_argument(
            "--pace", type=float, default=1.0, help="factor on the trickle's pauses; 0 has none"
        )

    def handle(self, *_: object, **options: Any) -> None:
        if options["trickle"] and not options["api"]:
            raise CommandError("--trickle needs --api URL.")
        asyncio.run(self._run(options))

    async def _run(self, options: dict[str, Any]) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        policy = Policy(
            deny_share=options["deny_share"],
            payment_deny_share=options["payment_deny_share"],
            refuse_share=options["refuse_share"],
            pending_share=options["pending_share"],
            pending_seconds=options["pending_seconds"],
        )
        sandbox_options = SandboxOptions(
            host=options["host"],
            port=options["port"],
            journal=options["journal"],
            transit_seconds=options["transit_seconds"],
            policy=policy,
            seed=options["seed"],
        )
        async with RunningSandbox(sandbox_options) as running:
            self.stdout.write(f"sandbox http://{options['host']}:{running.port}")
            self.stdout.flush()
            trickle = self._start_trickle(running, options)
            await stop.wait()
            if trickle is not None:
                trickle.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await trickle

    def _start_trickle(
        self, running: RunningSandbox, options: dict[str, Any]
    ) -> asyncio.Task[None] | None:
        if not options["trickle"]:
            return None
        api = ShopApi(
            options["api"],
            app_key=os.environ.get("SANDBOX_APP_KEY", ""),
            app_token=env_secret("SANDBOX_APP_TOKEN") or "",
        )
        trickle = Trickle(
            api,
            running.state.agenda,
            orders_per_minute=options["trickle"],
            pace=options["pace"],
            seed=options["seed"],
        )
        return asyncio.create_task(trickle.run())


def share(text: str) -> float:
    """This function will read a share for argparse, which names the option if it is not one."""
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value
