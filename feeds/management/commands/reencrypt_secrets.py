"""Seals all secrets with the newest of ENCRYPTION_KEYS: `manage.py reencrypt_secrets`."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from feeds.hooks.rotating import reencrypt_endpoint
from feeds.models import HookEndpoint
from oms.access.secrets import SecretUnreadable


class Command(BaseCommand):
    help = "Seals headers and secrets of hooks with the newest of ENCRYPTION_KEYS. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        unreadable = []
        pks = list(HookEndpoint.objects.order_by("pk").values_list("pk", flat=True))
        for pk in pks:
            try:
                reencrypt_endpoint(pk)
            except SecretUnreadable:
                unreadable.append(str(pk))
        self.stdout.write(f"{len(pks) - len(unreadable)} hooks sealed with the newest key.")
        if unreadable:
            raise CommandError(f"No key opens the secrets of hooks {', '.join(unreadable)}.")
