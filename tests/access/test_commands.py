import io

import pytest
from django.core.management import CommandError, call_command

from oms.access.authenticating import authenticate
from oms.access.models import AppKey
from oms.ops.models import AuditEntry

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> dict[str, str]:
    """Runs a command and reads its `name value` lines."""
    output = io.StringIO()
    call_command(*arguments, stdout=output, stderr=io.StringIO())
    return dict(line.split(" ", 1) for line in output.getvalue().splitlines())


def test_a_key_issued_on_the_command_line_works() -> None:
    said = run("issue_app_key", "--owner", "ERP", "--scope", "OMSViewer", "--seller", "s1")
    principal = authenticate(said["app-key"], said["app-token"])
    assert principal.scopes == {"OMSViewer"}
    assert principal.seller_ids == frozenset({"s1"})
    assert AuditEntry.objects.get().actor.startswith("command:")


def test_a_rotated_token_works_beside_the_first() -> None:
    first = run("issue_app_key", "--owner", "ERP", "--scope", "OMSViewer")
    second = run("rotate_app_token", first["app-key"])
    assert first["app-token"] != second["app-token"]
    for said in (first, second):
        assert authenticate(first["app-key"], said["app-token"]).app_key == first["app-key"]
    with pytest.raises(CommandError, match="has two live tokens"):
        run("rotate_app_token", first["app-key"])
    run("rotate_app_token", first["app-key"], "--revoke-oldest")


def test_a_misspelt_scope_and_an_unknown_key_are_refused_in_words() -> None:
    with pytest.raises(CommandError, match="OMSViewr"):
        run("issue_app_key", "--owner", "ERP", "--scope", "OMSViewr")
    with pytest.raises(CommandError, match="There is no app key bulkhead-x"):
        run("rotate_app_token", "bulkhead-x")
    assert AppKey.objects.count() == 0
