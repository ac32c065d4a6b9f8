"""What the tests of the back office share: people in their roles, and their browsers' clients."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from oms.backoffice.roles import ensure_groups

Login = Callable[[str], Client]


@pytest.fixture
def login(db: None) -> Login:
    """This fixture will log a person of a role in; `root` is a superuser."""

    def log_in(role: str) -> Client:
        user, _ = User.objects.get_or_create(
            username=role.lower(),
            defaults={"is_staff": True, "is_superuser": role == "root", "first_name": role},
        )
        if role != "root":
            user.groups.set([ensure_groups()[role]])
        client = Client()
        client.force_login(user)
        return client

    return log_in
