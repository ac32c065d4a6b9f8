"""
Where a hook may be sent to. Pure: no name is looked up here.

A receiver's address is somebody's wish that our server calls an address of their choice (ASVS
15.3.2). Two questions, asked at save and again at each connect: is the URL written so that nobody
reads it differently (`check_url`), and is the network address one of the public internet
(`why_refused`)? The second is answered by IANA's registries written out below, not by
`ipaddress.is_global`, which lets ten kinds of special addresses through on Python 3.11.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
)
from typing import Final
from urllib.parse import urlsplit

import idna
from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL: Final = 2048

# https://www.iana.org/assignments/iana-ipv4-special-registry, last updated 2025-05, every row,
# and https://www.iana.org/assignments/multicast-addresses.
_IPV4: Final = (
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "AS112"),
    ("192.52.193.0/24", "AMT"),
    ("192.88.99.0/24", "6to4 relay anycast"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "AS112"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("255.255.255.255/32", "broadcast"),
)
# https://www.iana.org/assignments/iana-ipv6-special-registry, last updated 2025-05, every row,
# with site local (RFC 3879), IPv4-compatible (RFC 4291) and multicast, which it does not list.
_IPV6: Final = (
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0/96", "IPv4-mapped"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard only"),
    ("100:0:0:1::/64", "dummy prefix"),
    ("2001::/32", "Teredo"),
    ("2001::/23", "IETF protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("2620:4f:8000::/48", "AS112"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "unique local"),
    ("fe80::/10", "link local"),
    ("fec0::/10", "site local"),
    ("ff00::/8", "multicast"),
)
SPECIAL_IPV4: Final = tuple((IPv4Network(network), kind) for network, kind in _IPV4)
SPECIAL_IPV6: Final = tuple((IPv6Network(network), kind) for network, kind in _IPV6)
# All that IANA has given out for use between networks so far.
GLOBAL_UNICAST_IPV6: Final = IPv6Network("2000::/3")

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]@]*\]|[^\[\]@:]*)(:(?P<port>[0-9]{1,5}))?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


class AddressRefused(ValueError):
    """A hook must not be sent there; the message says why, in words for the key's owner."""


@dataclass(frozen=True, slots=True)
class AddressRules:
    """
    What this installation lets through. `ports` of None means any.

    `allowed` are networks that pass although special: for tests and the demo, whose receivers
    listen on loopback.
    """

    ports: frozenset[int] | None = frozenset({443, 8443})
    allows_http: bool = False
    allowed: tuple[Network, ...] = ()
    own_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed. `address` is set when its host is an address and no name."""

    url: str
    host: str
    port: int
    address: Address | None


def rules_from_settings() -> AddressRules:
    """This function will read the HOOK_ settings."""
    return AddressRules(
        ports=settings.HOOK_PORTS,
        allows_http=settings.HOOK_ALLOW_HTTP,
        allowed=settings.HOOK_ALLOWED_ADDRESSES,
        own_hosts=frozenset(host.strip("[]").lower() for host in settings.ALLOWED_HOSTS),
    )


def why_refused(address: Address, allowed: Sequence[Network] = ()) -> str | None:
    """This function will name the kind of a special address; None for one of the public internet."""
    if any(address.version == network.version and address in network for network in allowed):
        return None
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in SPECIAL_IPV4 if address in network), None)
    if address.scope_id is not None:
        return "bound to a network interface"
    for network, kind in SPECIAL_IPV6:
        if address in network:
            return kind
    return None if address in GLOBAL_UNICAST_IPV6 else "not given out to anybody"


def check_address(text: str, rules: AddressRules) -> None:
    """
    This function will let an address of the public internet pass, as a name server gave it.

    :raises AddressRefused: for any other.
    """
    try:
        address = ip_address(text)
    except ValueError:
        raise AddressRefused(f"{text!r} is no network address.") from None
    if kind := why_refused(address, rules.allowed):
        raise AddressRefused(f"{address} is not an address of the public internet: {kind}.")


def check_url(url: str, rules: AddressRules) -> Target:
    """
    This function will take a receiver's URL apart and let it pass if it can be read in one way only.

    :raises AddressRefused: for anything that two programs might read differently, for other
        schemes and ports than the rules name, for special addresses and for our own host.
    """
    _check_spelling(url)
    scheme, _, rest = url.partition("://")
    _check_scheme(scheme, rules)
    host, port = _host_and_port(re.split(r"[/?]", rest, maxsplit=1)[0], scheme, rules)
    address = _address_of(host)
    if address is not None:
        check_address(str(address), rules)
    else:
        _check_name(host)
    _check_not_ours(host, address, rules)
    # Standard library and our own reading must agree, or somebody else's may differ from both.
    parts = urlsplit(url)
    if (parts.hostname, parts.port or port) != (host.strip("[]"), port):
        raise AddressRefused("The URL can be read in more than one way.")
    return Target(url=url, host=host.strip("[]"), port=port, address=address)


def _check_spelling(url: str) -> None:
    if len(url) > LONGEST_URL:
        raise AddressRefused(f"The URL is longer than {LONGEST_URL} characters.")
    authority = re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if not authority.isascii():
        raise AddressRefused(f"Write the host in ASCII{_suggestion(authority)}.")
    if not _PRINTABLE.fullmatch(url):
        raise AddressRefused(
            "The URL holds a space, a control character or a letter outside ASCII: encode it by %."
        )
    if "\\" in url:
        raise AddressRefused("The URL holds a backslash.")
    if "#" in url:
        raise AddressRefused("The URL has a fragment (#), which is never sent.")


def _suggestion(authority: str) -> str:
    """An international name has one ASCII form; look-alikes of digits and letters do not count."""
    host = authority.rpartition("@")[2].partition(":")[0]
    try:
        encoded = idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return ""
    return f": {encoded}" if "xn--" in encoded else ""


def _check_scheme(scheme: str, rules: AddressRules) -> None:
    if scheme == "https" or (scheme == "http" and rules.allows_http):
        return
    raise AddressRefused("Only https addresses are called: write https://host/path.")


def _host_and_port(authority: str, scheme: str, rules: AddressRules) -> tuple[str, int]:
    if "@" in authority:
        raise AddressRefused("The URL holds a user name: send credentials as a header.")
    found = _AUTHORITY.fullmatch(authority)
    if found is None or not found["host"]:
        raise AddressRefused("The URL has no host that can be read.")
    port = int(found["port"]) if found["port"] else (443 if scheme == "https" else 80)
    if rules.ports is not None and port not in rules.ports:
        allowed = ", ".join(str(number) for number in sorted(rules.ports))
        raise AddressRefused(f"Port {port} is not called; allowed are {allowed}.")
    if not 0 < port < 65536:
        raise AddressRefused(f"Port {port} does not exist.")
    return found["host"].lower(), port


def _address_of(host: str) -> Address | None:
    """Reads a literal address in its one usual spelling; other spellings of numbers are refused."""
    if host.startswith("["):
        try:
            return IPv6Address(host[1:-1])
        except AddressValueError:
            raise AddressRefused(f"{host} is no IPv6 address.") from None
    # What ends in a number is an address to browsers and C libraries: 127.1, 0x7f000001, 2130706433.
    if not _NUMERIC_LABEL.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return None
    try:
        return IPv4Address(host)
    except AddressValueError:
        raise AddressRefused(f"{host} is an unusual spelling of an address.") from None


def _check_name(host: str) -> None:
    if host.endswith("."):
        raise AddressRefused("The host ends with a dot.")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused(f"{host} is no host name.")
    if len(labels) == 1 or labels[-1] == "localhost":
        raise AddressRefused(f"{host} is not a name of the public internet.")
    try:
        for label in labels:
            idna.ulabel(label)
    except idna.IDNAError:
        raise AddressRefused(f"{host} is no valid international name.") from None


def _check_not_ours(host: str, address: Address | None, rules: AddressRules) -> None:
    """A hook that calls us would be answered by the change of an order, which calls the hook."""
    if address is not None and any(
        address.version == network.version and address in network for network in rules.allowed
    ):
        return
    bare = host.strip("[]")
    for own in rules.own_hosts:
        if bare == own or (own.startswith(".") and f".{bare}".endswith(own)):
            raise AddressRefused(
                "This is our own address: a hook to ourselves would run in a circle."
            )
