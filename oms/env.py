"""Reads settings from the environment. A bad value stops the start with the variable's name."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def env_str(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def env_bool(name: str, default: bool) -> bool:
    raw = os.environ.get(name)
    if raw is None:
        return default
    word = raw.strip().lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(
        f"{name}={raw!r}: expected one of 1, 0, true, false, yes, no, on, off."
    )


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    raw = os.environ.get(name, str(default))
    try:
        value = int(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a whole number.") from None
    if value < minimum:
        raise ImproperlyConfigured(f"{name}={value}: expected {minimum} or more.")
    return value


def env_float(name: str, default: float, *, minimum: float = 0.0) -> float:
    raw = os.environ.get(name, str(default))
    try:
        value = float(raw)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={raw!r}: expected a number.") from None
    if not value >= minimum:
        raise ImproperlyConfigured(f"{name}={value}: expected {minimum} or more.")
    return value


def env_choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = os.environ.get(name, default)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r}: expected one of {', '.join(allowed)}.")
    return value


def env_time_zone(name: str, default: str) -> str:
    value = os.environ.get(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(
            f"{name}={value!r}: expected a time zone such as America/Sao_Paulo."
        ) from None
    return value


def env_list(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in os.environ.get(name, default).split(",") if part.strip()]


def env_ports(name: str, default: str) -> frozenset[int] | None:
    """This function will read port numbers; None stands for `any`."""
    words = env_list(name, default)
    if words == ["any"]:
        return None
    try:
        return frozenset(int(word) for word in words)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name}={','.join(words)!r}: expected ports such as 443,8443, or any."
        ) from None


def env_networks(name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    words = env_list(name)
    try:
        return tuple(ip_network(word) for word in words)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={','.join(words)!r}: {error}.") from None


def env_pairs(name: str) -> dict[str, str]:
    """This function will read `key=value` pairs between commas."""
    pairs = [part.partition("=") for part in env_list(name)]
    if bad := next((key for key, sign, _ in pairs if not sign or not key), None):
        raise ImproperlyConfigured(f"{name}: {bad!r} is no pair such as 1=Main.")
    return {key.strip(): value.strip() for key, _, value in pairs}


def env_secret(name: str) -> str | None:
    """This function will read NAME, or the file that NAME_FILE names: secrets can be mounted."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE={path!r}: {error.strerror}.") from None
    return os.environ.get(name) or None


def env_database(name: str) -> dict[str, object]:
    """
    This function will turn a PostgreSQL URL into Django's settings for one database.

    Both `postgresql://user:secret@host:5432/name` and `postgresql:///name?host=/run/socket` work;
    other query parameters go to libpq as they are.
    """
    raw = env_secret(name)
    if raw is None:
        raise ImproperlyConfigured(
            f"{name} is not set: expected postgresql://user:password@host:5432/name."
        )
    url = urlsplit(raw)
    if url.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"{name}: expected a postgresql:// address, got {url.scheme}://."
        )
    options: dict[str, object] = dict(parse_qsl(url.query))
    host = options.pop("host", None) or unquote(url.hostname or "")
    port = options.pop("port", None) or (str(url.port) if url.port else "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path.lstrip("/")) or "bulkhead",
        "USER": options.pop("user", None) or unquote(url.username or ""),
        "PASSWORD": options.pop("password", None) or unquote(url.password or ""),
        "HOST": host,
        "PORT": port,
        "OPTIONS": options,
    }
