"""manage.py issue_app_key: creates an app key and prints its token, once."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.access.keys import AccessRefused, issue_app_key
from oms.access.scopes import SCOPE_MEANINGS, Scope


class Command(BaseCommand):
    help = "Create an app key and print it with its token. The token is shown only here."

    def add_arguments(self, parser: CommandParser) -> None:
        scopes = "; ".join(f"{scope}: {text}" for scope, text in SCOPE_MEANINGS.items())
        parser.add_argument("--owner", required=True, help="name of the integration or company")
        parser.add_argument("--contact", default="", help="e-mail address of the owner")
        parser.add_argument(
            "--scope", action="append", choices=list(Scope), required=True, help=scopes
        )
        parser.add_argument(
            "--seller", action="append", help="restrict to this seller (repeatable)"
        )
        parser.add_argument(
            "--affiliate", action="append", help="restrict to this affiliate (repeatable)"
        )
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key, token = issue_app_key(
                owner_name=options["owner"],
                owner_contact=options["contact"],
                scopes=options["scope"],
                seller_ids=options["seller"],
                affiliate_ids=options["affiliate"],
                actor=f"command:{getpass.getuser()}",
                reason=options["reason"],
            )
        except AccessRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"app-key {key.app_key}")
        self.stdout.write(f"app-token {token}")
        self.stderr.write("Keep the token now: it is stored as a hash and cannot be shown again.")
