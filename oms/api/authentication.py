"""Who may call: the contract's two headers, and the scopes that a view asks for."""

from typing import TYPE_CHECKING, Any

import structlog
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from oms.access.authenticating import BadCredentials, Principal, authenticate
from oms.ops.logs import bind_app_key

if TYPE_CHECKING:  # rest_framework.views imports this module while it is itself half imported
    from rest_framework.views import APIView

logger = structlog.get_logger(__name__)


CALLER = "oms.caller"


def caller_of(request: HttpRequest) -> Principal | None:
    """
    This function will return whose key a request carries, None without one, and remember it.

    :raises AuthenticationFailed: if the pair is not valid.
    """
    if CALLER not in request.META:
        request.META[CALLER] = _identify(request)
    known = request.META[CALLER]
    if isinstance(known, AuthenticationFailed):
        raise known
    return known if isinstance(known, Principal) else None


def _identify(request: HttpRequest) -> Principal | AuthenticationFailed | None:
    app_key = request.META.get("HTTP_X_VTEX_API_APPKEY", "")
    app_token = request.META.get("HTTP_X_VTEX_API_APPTOKEN", "")
    if not app_key and not app_token:
        return None
    try:
        principal = authenticate(app_key, app_token)
    except BadCredentials:
        # The key that was given is not named: a swapped pair would put the token in the log.
        logger.warning("access.refused")
        return AuthenticationFailed()
    bind_app_key(principal.app_key)
    return principal


class AppKeyAuthentication(BaseAuthentication):
    """
    Reads X-VTEX-API-AppKey and X-VTEX-API-AppToken. A query string is never looked at: addresses
    end up in logs and histories (ASVS 14.2.1).
    """

    def authenticate(self, request: Request) -> tuple[None, Principal] | None:
        principal = caller_of(request._request)
        return None if principal is None else (None, principal)

    def authenticate_header(self, request: Request) -> str:
        return 'AppKey realm="api"'


class HasScope(BasePermission):
    """
    Lets a key in whose scopes meet the view's `required_scopes[method]`, any one of them.

    A view or method that names none is closed to everybody: forgetting is safe. A method that the
    view does not have passes, so that it is answered 405 and not 403.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        method = request.method or ""
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True
        if not isinstance(request.auth, Principal):
            return False
        wanted = required_scopes(view).get("GET" if method == "HEAD" else method, frozenset())
        if not wanted:
            logger.error("access.view_without_scopes", view=type(view).__name__, method=method)
        return request.auth.has_any(wanted)


def required_scopes(view: "APIView") -> dict[str, Any]:
    scopes: dict[str, Any] = getattr(view, "required_scopes", {})
    return scopes


def principal_of(request: Request) -> Principal:
    """This function will return who calls; raises NotAuthenticated where nobody is known."""
    if not isinstance(request.auth, Principal):
        raise NotAuthenticated
    return request.auth
