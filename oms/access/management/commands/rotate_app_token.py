"""manage.py rotate_app_token: gives an app key a second token, for a change without a gap."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.access.keys import AccessRefused, rotate_token
from oms.access.models import AppKey


class Command(BaseCommand):
    help = "Add a token to an app key and print it. The token in use goes on working."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_key")
        parser.add_argument(
            "--revoke-oldest",
            action="store_true",
            help="if two tokens are live, end the older one",
        )
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            token = rotate_token(
                options["app_key"],
                actor=f"command:{getpass.getuser()}",
                reason=options["reason"],
                revoke_oldest=options["revoke_oldest"],
            )
        except AppKey.DoesNotExist as error:
            raise CommandError(f"There is no app key {options['app_key']}.") from error
        except AccessRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"app-key {options['app_key']}")
        self.stdout.write(f"app-token {token}")
        self.stderr.write("Keep the token now: it is stored as a hash and cannot be shown again.")
