"""manage.py limit_app_key: gives an app key its own number of requests a minute, or takes it away."""

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from oms.access.keys import AccessRefused, limit_requests
from oms.access.models import AppKey


class Command(BaseCommand):
    help = "Set how many requests a minute an app key may make, instead of the setting's."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("app_key")
        parser.add_argument("requests_per_minute", help="a number, or `default`")
        parser.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        given = options["requests_per_minute"]
        try:
            limit_requests(
                options["app_key"],
                requests_per_minute=None if given == "default" else int(given),
                actor=f"command:{getpass.getuser()}",
                reason=options["reason"],
            )
        except AppKey.DoesNotExist:
            raise CommandError(f"No app key {options['app_key']}.") from None
        except AccessRefused as error:
            raise CommandError(str(error)) from error
        except ValueError:
            raise CommandError(f"{given}: expected a number, or `default`.") from None
