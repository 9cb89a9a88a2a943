"""The checks of a handshake: host, origin and subprotocol. Each takes a scope and returns a decision.

A browser sends the cookies of a site with a WebSocket handshake from any page, and no CORS rule stops it (RFC 6455
section 10.2; OWASP "Cross-site WebSocket hijacking"). So a handshake with an Origin must come from the same origin or
from one that is listed. A handshake without one is not from a browser and passes: the check protects users of browsers.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal, NamedTuple, TypeAlias

from ._asgi import Scope
from .errors import InvalidHost, InvalidOrigin, InvalidSubprotocol
from .limits import Refusal
from .wire.grammar import is_token


class OriginPolicy(Enum):
    """Values of `origins=` other than a list."""

    SAME_ORIGIN = "same origin"
    UNSAFE_ANY = "any origin"


SAME_ORIGIN: Final = OriginPolicy.SAME_ORIGIN
UNSAFE_ANY: Final = OriginPolicy.UNSAFE_ANY

Origins: TypeAlias = Literal[OriginPolicy.SAME_ORIGIN, OriginPolicy.UNSAFE_ANY] | Sequence[str]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}

# A registered name or an IPv4 address, with a final dot or without, or a bracketed IPv6 address; and a port (RFC 3986
# section 3.2.2, without the percent-encoding and sub-delimiters that no browser sends).
_AUTHORITY: Final = re.compile(
    r"(?:(?P<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|\[(?P<ipv6>[0-9a-f:.]+)\])(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
# RFC 6454 section 6.2: scheme "://" host [ ":" port ], and nothing after it.
_ORIGIN: Final = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?#@\s]*)", re.ASCII)
# The host of a scheme that is an application's own: `file://` has none, Electron's `app://.` is a dot, others are the
# identity of an extension (RFC 3986 section 3.2.2, "reg-name", less the star, which is a wildcard here).
_OWN_HOST: Final = re.compile(r"[a-z0-9._~%!$&'()+,;=-]*", re.ASCII)
_WILDCARD: Final = "*."


class Authority(NamedTuple):
    """A host in lower case without a final dot, and the port if one was named."""

    host: str
    port: int | None


class Origin(NamedTuple):
    """A parsed origin (RFC 6454 section 4).

    The port is None where the scheme has none, as `capacitor://`; the host is "" for `file://`.
    """

    scheme: str
    host: str
    port: int | None


class Refused(NamedTuple):
    """A decision against a handshake: what for, and the value that decided."""

    refusal: Refusal
    value: str

    @property
    def entry(self) -> str | None:
        """The entry of `origins` or `hosts` that would allow it, or None if nothing could be listed."""
        if self.refusal is Refusal.HOST:
            authority = parse_authority(self.value)
            return None if authority is None else authority.host
        return self.value if self.value == "null" or parse_origin(self.value) is not None else None


def parse_authority(text: str) -> Authority | None:
    """Parse `host[:port]` as a Host header has it (RFC 9110 section 7.2); None if it is anything else."""
    match = _AUTHORITY.fullmatch(text.lower())
    if match is None:
        return None
    port = None if match["port"] is None else int(match["port"])
    if port is not None and port > 65535:
        return None
    try:
        # In its shortest form, in which browsers send it.
        ipv6 = None if match["ipv6"] is None else IPv6Address(match["ipv6"])
    except AddressValueError:
        return None
    return Authority(match["name"] or f"[{ipv6}]", port)


def parse_origin(text: str) -> Origin | None:
    """Parse an Origin header; None for `null`, for a list and for anything else that is not one origin."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, text = match["scheme"], match["authority"]
    authority = parse_authority(text)
    if authority is None and scheme not in _DEFAULT_PORTS and _OWN_HOST.fullmatch(text):
        authority = Authority(text, None)
    if authority is None:
        return None
    port = authority.port if authority.port is not None else _DEFAULT_PORTS.get(scheme)
    return Origin(scheme, authority.host, port)


@dataclass(frozen=True)
class Policy:
    """Which handshakes an endpoint lets in.

    Attributes:
        origins: `SAME_ORIGIN`, `UNSAFE_ANY`, or a list of origins that may connect beside the same one:
            `https://example.org`, `https://*.example.org` (any depth of subdomain, not the name itself), those of
            applications such as `file://`, `app://.` and `chrome-extension://<id>`, and `null`.
        hosts: host names the application is reached by, `*.example.org` for subdomains; None for any. A list here
            stops DNS rebinding, where a foreign page's origin and host agree.
        trust_forwarded: take host and scheme from `X-Forwarded-Host` and `X-Forwarded-Proto`. Only where every request
            comes through a proxy that sets both: a client can send them too.

    Raises:
        InvalidOrigin: for an entry that no browser sends.
        InvalidHost: for an entry that is not a host name.
    """

    origins: Origins = SAME_ORIGIN
    hosts: Sequence[str] | None = None
    trust_forwarded: bool = False

    def __post_init__(self) -> None:
        # Both are made here, and not at the first handshake, so that a wrong entry is found where it was written.
        _ = self._allowed_origins, self._allowed_hosts

    @cached_property
    def _allowed_origins(self) -> tuple[frozenset[Origin | None], tuple[Origin, ...]]:
        if isinstance(self.origins, OriginPolicy):
            return frozenset(), ()
        if isinstance(self.origins, str) or not isinstance(self.origins, Iterable):
            raise InvalidOrigin(self.origins, "a list of origins")
        exact: set[Origin | None] = set()
        wildcards: list[Origin] = []
        for entry in self.origins:
            if entry == "null":
                exact.add(None)
                continue
            wildcard = isinstance(entry, str) and f"://{_WILDCARD}" in entry
            origin = parse_origin(entry.replace(_WILDCARD, "", wildcard)) if isinstance(entry, str) else None
            if origin is None or (wildcard and (origin.host.startswith("[") or not origin.host.strip("."))):
                raise InvalidOrigin(entry)
            if wildcard:
                wildcards.append(origin)
            else:
                exact.add(origin)
        return frozenset(exact), tuple(wildcards)

    @cached_property
    def _allowed_hosts(self) -> tuple[frozenset[str], tuple[str, ...]] | None:
        if self.hosts is None:
            return None
        if isinstance(self.hosts, str) or not isinstance(self.hosts, Iterable):
            raise InvalidHost(self.hosts, "a list of hosts")
        exact: set[str] = set()
        suffixes: list[str] = []
        for entry in self.hosts:
            authority = parse_authority(entry.removeprefix(_WILDCARD)) if isinstance(entry, str) else None
            if authority is None or authority.port is not None:
                raise InvalidHost(entry)
            wildcard = entry.startswith(_WILDCARD)
            if wildcard and authority.host.startswith("["):
                raise InvalidHost(entry)
            if wildcard:
                suffixes.append(f".{authority.host}")
            else:
                exact.add(authority.host)
        return frozenset(exact), tuple(suffixes)

    def refuses(self, scope: Scope) -> Refused | None:
        """Return the reason to refuse the handshake of this scope, or None to go on."""
        origin_lines = _header_lines(scope, b"origin")
        if self._allowed_hosts is None and (not origin_lines or self.origins is UNSAFE_ANY):
            return None
        host_lines = _header_lines(scope, b"host")
        if self.trust_forwarded:
            forwarded = _header_lines(scope, b"x-forwarded-host")
            # Each proxy on the way appends to the list; the first entry is what the browser asked for.
            host_lines = [forwarded[0].partition(",")[0].strip()] if forwarded else host_lines
        host = parse_authority(host_lines[0]) if len(host_lines) == 1 else None
        if self._allowed_hosts is not None and not _host_allowed(host, *self._allowed_hosts):
            return Refused(Refusal.HOST, ", ".join(host_lines))
        if not origin_lines or self.origins is UNSAFE_ANY:
            return None
        if len(origin_lines) == 1 and self._origin_allowed(origin_lines[0], host, scope):
            return None
        return Refused(Refusal.ORIGIN, ", ".join(origin_lines))

    def _origin_allowed(self, text: str, host: Authority | None, scope: Scope) -> bool:
        origin = parse_origin(text)
        exact, wildcards = self._allowed_origins
        if origin is None:
            # RFC 6454 section 7.3: sandboxed frames and local files send "null"; it is nobody's own origin.
            return text == "null" and None in exact
        if origin in exact:
            return True
        if any(
            origin.scheme == wildcard.scheme
            and origin.port == wildcard.port
            and origin.host.endswith(f".{wildcard.host}")
            for wildcard in wildcards
        ):
            return True
        return host is not None and _same_origin(origin, host, self._scheme(scope))

    def _scheme(self, scope: Scope) -> str | None:
        if self.trust_forwarded:
            forwarded = _header_lines(scope, b"x-forwarded-proto")
            if forwarded:
                return forwarded[0].partition(",")[0].strip().lower()
        scheme: str | None = scope.get("scheme")
        return scheme


def _same_origin(origin: Origin, host: Authority, scheme: str | None) -> bool:
    # Behind a TLS proxy the server sees plain ws, and daphne names no scheme: the port that the Host header leaves out
    # is the default of the origin's own scheme. Only the reverse is known to be wrong: a page without TLS on wss.
    if origin.scheme not in _DEFAULT_PORTS or (origin.scheme == "http" and scheme in ("wss", "https")):
        return False
    port = host.port if host.port is not None else _DEFAULT_PORTS.get(origin.scheme)
    return (origin.host, origin.port) == (host.host, port)


def _host_allowed(host: Authority | None, exact: Iterable[str], suffixes: tuple[str, ...]) -> bool:
    return host is not None and (host.host in exact or host.host.endswith(suffixes))


def _header_lines(scope: Scope, name: bytes) -> list[str]:
    # RFC 9110 section 5.5: space around a value is not a part of it. Servers strip it, and not every transport does.
    return [value.decode("latin-1").strip(" \t") for key, value in scope.get("headers") or () if key.lower() == name]


def offered_subprotocols(scope: Scope) -> list[str]:
    """Return the subprotocols of the handshake in the client's order of preference (RFC 6455 section 4.1).

    Servers give a list of names. Transports that run an application in process may split the header at its commas and
    leave the spaces (`["a", " b"]`, or `[""]` without a header), or give its lines as they are (`["a, b"]`).
    """
    offered: Sequence[str] = scope.get("subprotocols") or ()
    lines = [offered] if isinstance(offered, str) else offered
    return [name for line in lines for part in line.split(",") if (name := part.strip(" \t"))]


def check_subprotocol(subprotocol: str, scope: Scope) -> None:
    """Check that the client offered this subprotocol (RFC 6455 section 4.2.2).

    Raises:
        InvalidSubprotocol: if it did not, or if it is not a token: daphne decodes %0D%0A in offers.
    """
    offered = offered_subprotocols(scope)
    if subprotocol not in offered or not is_token(subprotocol):
        raise InvalidSubprotocol(subprotocol, offered)
