"""Permission to open a WebSocket: scope in, decision out; and the refusal that a client sees."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import UNSAFE_ANY, InvalidHost, InvalidOrigin, Refusal, WebSocketEndpoint, websocket_app
from asgi_ws._asgi import Scope
from asgi_ws.security import Policy, parse_authority, parse_origin

from .samples import from_origin, handshake

Rows = Sequence[tuple[str, str, str | None]]


def passes(policy: Policy, scope: Scope) -> bool:
    return policy.refuses(scope) is None


# -- same origin

# The origin, the Host header and the scheme that the server knows.
SAME: Rows = [
    ("http://example.org", "example.org", "ws"),
    ("http://example.org:80", "example.org", "ws"),
    ("http://example.org", "example.org:80", "ws"),
    ("http://example.org:8000", "example.org:8000", "ws"),
    ("https://example.org:443", "example.org", "wss"),
    ("HTTP://EXAMPLE.org", "Example.ORG", "ws"),
    ("http://example.org.", "example.org", "ws"),
    ("http://example.org", "example.org.:80", "ws"),
    ("http://[::1]", "[0:0:0:0:0:0:0:1]", "ws"),
    ("http://192.0.2.1", "192.0.2.1", "ws"),
    # A TLS proxy in front: the server knows no better than ws, and daphne names no scheme.
    ("https://example.org", "example.org", "ws"),
    ("https://example.org:8443", "example.org:8443", "ws"),
    ("https://example.org", "example.org", None),
    ("http://example.org", "example.org", None),
]
FOREIGN: Rows = [
    ("http://evil.org", "example.org", "ws"),
    ("http://example.org:8000", "example.org", "ws"),
    ("http://example.org", "example.org:8000", "ws"),
    ("https://example.org", "example.org:80", "ws"),
    ("http://sub.example.org", "example.org", "ws"),
    ("http://example.org", "sub.example.org", "ws"),
    ("http://evilexample.org", "example.org", "ws"),
    ("http://[::1]", "[::2]", "ws"),
    # A page without TLS on a server that is known to have it.
    ("http://example.org", "example.org", "wss"),
    ("http://example.org:443", "example.org", "https"),
    # Not an origin, or an opaque one.
    ("null", "null", "ws"),
    ("http://.", ".", "ws"),
    ("http://[....]", "[....]", "ws"),
    ("http://example.org:99999", "example.org:99999", "ws"),
    *((origin, "example.org", "ws") for origin in [
        "", "null", "example.org", "http://example.org/", "http://example.org/path", "http://user@example.org",
        "http://example.org http://evil.org", "http://example.org, http://evil.org", "http://example.org:",
        "capacitor://example.org", "file://", "http://example.org\x00",
    ]),
    # Not a host.
    *(("http://example.org", host, "ws") for host in [
        "", "example.org/", "user@example.org", "example.org, evil.org",
    ]),
]  # fmt: skip


def test_the_same_origin_passes() -> None:
    assert [row for row in SAME if not passes(Policy(), from_origin(*row))] == []


def test_another_origin_is_refused() -> None:
    for origin, host, scheme in FOREIGN:
        assert Policy().refuses(from_origin(origin, host, scheme)) == (Refusal.ORIGIN, origin), (origin, host, scheme)


def test_a_request_without_origin_is_no_browsers_and_passes() -> None:
    assert passes(Policy(), handshake(("host", "example.org")))
    assert passes(Policy(origins=["https://other.org"]), handshake())


def test_several_origin_headers_are_refused_even_if_each_would_pass() -> None:
    scope = handshake(("host", "a.org"), ("Origin", "http://a.org"), ("origin", "http://a.org"))
    refused = Policy().refuses(scope)
    assert refused == (Refusal.ORIGIN, "http://a.org, http://a.org")


def test_without_exactly_one_host_nothing_is_of_the_same_origin() -> None:
    for hosts in ([], ["a.org", "a.org"], ["a.org", "b.org"]):
        scope = handshake(*(("host", host) for host in hosts), ("origin", "http://a.org"))
        assert not passes(Policy(), scope)
        assert passes(Policy(origins=["http://a.org"]), scope)


@given(st.text(alphabet="htps:/.*[]@#?ao1, \x00\n", max_size=16), st.text(alphabet="ao1.:[]/", max_size=8))
def test_whatever_passes_names_the_host_it_came_to(origin: str, host: str) -> None:
    if passes(Policy(), from_origin(origin, host)):
        parsed, authority = parse_origin(origin), parse_authority(host)
        assert parsed is not None
        assert authority is not None
        assert parsed.host == authority.host
        assert parsed.scheme in ("http", "https", "ws", "wss")


# -- a list of origins

# Electron, Cordova, Tauri, extensions of browsers, Visual Studio Code, Windows, Qt.
APPLICATIONS = [
    "file://",
    "app://.",
    "app://-",
    "app://obsidian.md",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "chrome-extension://ajhifddimkapgcifgcodmmfdlknahffk",
    "vscode-file://vscode-app",
    "moz-extension://5a0c4a5f-9d1c-4b6d-8f4e-2f1f6a0a1b2c",
    "ms-appx-web://com.example_app~1",
    "qrc://",
    "safari-web-extension://E2F4C6B8-0A1C-4D3E-9F5A-7B9C1D2E3F40",
]

LISTED = [
    ("https://other.org", "https://other.org"),
    ("https://other.org:443", "https://other.org"),
    ("https://other.org", "https://other.org:443"),
    ("https://OTHER.org", "https://other.org."),
    ("http://other.org:8080", "http://other.org:8080"),
    ("https://*.other.org", "https://a.other.org"),
    ("https://*.other.org", "https://a.b.other.org"),
    ("https://*.other.org:8443", "https://a.other.org:8443"),
    ("http://[::1]:3000", "http://[0:0:0:0:0:0:0:1]:3000"),
    ("null", "null"),
    ("app://*.example", "app://a.example"),
    # Origins of applications: the entry is what they send.
    *((origin, origin) for origin in APPLICATIONS),
]
UNLISTED = [
    ("https://other.org", "http://other.org"),
    ("https://other.org", "https://other.org:8443"),
    ("https://other.org", "https://a.other.org"),
    ("https://*.other.org", "https://other.org"),
    ("https://*.other.org", "https://evilother.org"),
    ("https://*.other.org", "http://a.other.org"),
    ("https://*.other.org", "https://a.other.org:8443"),
    ("https://*.other.org", "https://a.other.org.evil.org"),
    ("null", "NULL"),
    ("null", "nullx"),
    ("https://other.org", "null"),
    ("capacitor://localhost", "http://localhost"),
    ("capacitor://localhost", "capacitor://localhost:1"),
    ("file://", "file:///"),
    ("file://", "file://host"),
    ("file://", "app://"),
    ("file://", "null"),
    ("app://.", "app://"),
]


def listed(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those rows whose entry lets the origin in, alone and as the second of a list."""
    scopes = [(entry, origin, from_origin(origin, "example.org")) for entry, origin in rows]
    alone = [(entry, origin) for entry, origin, scope in scopes if passes(Policy(origins=[entry]), scope)]
    assert alone == [
        (entry, origin)
        for entry, origin, scope in scopes
        if passes(Policy(origins=("https://first.org", entry)), scope)
    ]
    return alone


def test_a_listed_origin_passes_and_what_is_only_like_one_does_not() -> None:
    assert listed(LISTED) == LISTED
    assert listed(UNLISTED) == []


def test_a_refusal_shows_the_entry_that_lets_it_in() -> None:
    for origin in [*APPLICATIONS, "null", "https://Other.org.:8443", "http://[::1]"]:
        refused = Policy().refuses(from_origin(origin))
        assert refused is not None
        assert refused.entry == origin
        assert passes(Policy(origins=[origin]), from_origin(origin))


@given(st.text(alphabet="afx0:/.*@[]%~ -\xe9", max_size=12), st.sampled_from(["", "https://", "app://", "file://"]))
def test_whatever_entry_a_refusal_shows_lets_it_in(rest: str, scheme: str) -> None:
    refused = Policy().refuses(from_origin(f"{scheme}{rest}"))
    if refused is not None and refused.entry is not None:
        assert passes(Policy(origins=[refused.entry]), from_origin(f"{scheme}{rest}"))


def test_no_origin_of_an_application_is_the_servers_own() -> None:
    for origin in set(APPLICATIONS) - {"http://tauri.localhost"}:
        assert not passes(Policy(), from_origin(origin, origin.partition("://")[2]))


def test_the_same_origin_passes_beside_a_list() -> None:
    assert passes(Policy(origins=["https://other.org"]), from_origin("http://example.org"))
    assert passes(Policy(origins=[]), from_origin("http://example.org"))


def test_space_around_a_header_that_a_transport_left_there_does_not_count() -> None:
    assert passes(Policy(), handshake(("host", " example.org "), ("origin", "\thttps://example.org")))


def test_unsafe_any_lets_every_origin_in() -> None:
    for origin in ("http://evil.org", "null", "junk", ""):
        assert passes(Policy(origins=UNSAFE_ANY), from_origin(origin))
    assert passes(Policy(origins=UNSAFE_ANY), handshake(("origin", "http://a.org"), ("origin", "http://b.org")))


NO_ORIGINS = [
    "*",
    "other.org",
    "https://other.org/",
    "https://",
    "https://*",
    "https://*.",
    "https://a.*.org",
    "https://*other.org",
    "https://*.*.org",
    "*.other.org",
    "https://*.[::1]",
    "app://*",
    "app://*.",
    "app://*..",
    "chrome-extension://*",
    "file:///",
    "file://:80",
    "file:",
    "app://user@host",
    "https://bücher.example",
    "https://other.org:99999",
    "https://user@other.org",
]


def test_an_entry_that_no_browser_sends_is_refused_where_it_is_written() -> None:
    for entry in [*NO_ORIGINS, "", " https://other.org", 5, None, b"https://other.org"]:
        origins: Any = ["https://fine.org", entry]
        with pytest.raises(InvalidOrigin, match=re.escape(ascii(entry))) as raised:
            websocket_app(origins=origins)
        assert raised.value.entry == entry


@pytest.mark.parametrize("origins", ["https://other.org", "*", None, 5])
def test_origins_that_are_no_list_are_refused(origins: Any) -> None:
    with pytest.raises(InvalidOrigin, match="is not a list of origins") as raised:
        WebSocketEndpoint.as_asgi(origins=origins)
    assert raised.value.entry == origins


# -- hosts


def test_a_listed_host_passes() -> None:
    for entry, host in [
        ("example.org", "EXAMPLE.org.:8000"),
        ("Example.ORG.", "example.org"),
        ("*.example.org", "a.b.example.org"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("[::1]", "[::1]:8000"),
    ]:
        assert passes(Policy(hosts=[entry]), handshake(("host", host))), (entry, host)


def test_a_host_that_is_not_listed_is_refused_with_or_without_origin() -> None:
    for entry, host in [
        ("example.org", "evil.org"),
        ("example.org", "a.example.org"),
        ("*.example.org", "example.org"),
        ("*.example.org", "evilexample.org"),
        ("example.org", "example.org.evil.org"),
        ("example.org", ""),
        ("example.org", "example.org/"),
    ]:
        # DNS rebinding: the foreign page's origin and its host agree.
        for more in ([], [("origin", f"http://{host}")]):
            scope = handshake(("host", host), *more)
            assert Policy(hosts=[entry]).refuses(scope) == (Refusal.HOST, host), entry
            assert not passes(Policy(hosts=[entry], origins=UNSAFE_ANY), scope)


def test_a_list_of_hosts_wants_exactly_one_host_header() -> None:
    for lines in ([], ["example.org", "evil.org"], ["example.org", "example.org"]):
        scope = handshake(*(("host", line) for line in lines))
        assert Policy(hosts=["example.org"]).refuses(scope) == (Refusal.HOST, ", ".join(lines))


def test_an_entry_that_is_no_host_is_refused_where_it_is_written() -> None:
    entry: Any
    for entry in ["", "*", "*.", "a b", "http://a.org", "a.org:80", "::1", "*.[::1]", "[....]", ".", 5, None]:
        with pytest.raises(InvalidHost) as raised:
            websocket_app(hosts=[entry])
        assert raised.value.entry == entry


@pytest.mark.parametrize("hosts", ["example.org", 5])
def test_hosts_that_are_no_list_are_refused(hosts: Any) -> None:
    with pytest.raises(InvalidHost, match="is not a list of hosts"):
        websocket_app(hosts=hosts)


# -- forwarded headers


def forwarded(host: str | None, proto: str | None, origin: str = "https://public.org") -> Scope:
    headers = [("host", "10.0.0.1:8000"), ("origin", origin)]
    headers += [] if host is None else [("x-forwarded-host", host)]
    headers += [] if proto is None else [("x-forwarded-proto", proto)]
    return handshake(*headers)


def test_forwarded_headers_count_only_if_they_are_trusted() -> None:
    hosts = ["public.org", "public.org, 10.0.0.2", " PUBLIC.org ,proxy"]
    for host, proto in itertools.product(hosts, ["https", "HTTPS, http", "wss", None]):
        for listed in (None, ["public.org"]):
            assert passes(Policy(hosts=listed, trust_forwarded=True), forwarded(host, proto)), (host, proto)
            assert not passes(Policy(hosts=listed), forwarded(host, proto)), (host, proto)


def test_a_trusted_proxy_without_forwarded_host_leaves_the_host_header_to_count() -> None:
    assert passes(Policy(trust_forwarded=True), forwarded(None, None, "http://10.0.0.1:8000"))


def test_a_page_without_tls_is_refused_where_the_trusted_proxy_has_tls() -> None:
    for proto in ("https", " HTTPS , http", "wss"):
        assert not passes(Policy(trust_forwarded=True), forwarded("public.org", proto, "http://public.org"))
    assert passes(Policy(trust_forwarded=True), forwarded("public.org", "http", "http://public.org"))
