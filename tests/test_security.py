"""Who may open a WebSocket: scope in, decision out; and what a refusal looks like from outside."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from asgi_ws import (
    UNSAFE_ANY,
    InvalidHost,
    InvalidOrigin,
    Refusal,
    WebSocketEndpoint,
    websocket_app,
)
from asgi_ws._asgi import Scope
from asgi_ws.security import Policy, parse_authority, parse_origin

from .samples import from_origin, handshake


def passes(policy: Policy, scope: Scope) -> bool:
    return policy.refuses(scope) is None


# -- same origin

SAME = [
    ("http://example.org", "example.org", "ws"),
    ("http://example.org:80", "example.org", "ws"),
    ("http://example.org", "example.org:80", "ws"),
    ("http://example.org:8000", "example.org:8000", "ws"),
    ("https://example.org", "example.org", "wss"),
    ("https://example.org:443", "example.org", "wss"),
    ("https://example.org:8443", "example.org:8443", "wss"),
    ("HTTP://EXAMPLE.org", "Example.ORG", "ws"),
    ("http://example.org.", "example.org", "ws"),
    ("http://example.org", "example.org.:80", "ws"),
    ("http://[::1]:8000", "[::1]:8000", "ws"),
    ("http://[::1]", "[0:0:0:0:0:0:0:1]", "ws"),
    ("http://192.0.2.1", "192.0.2.1", "ws"),
    ("http://localhost:3000", "localhost:3000", "ws"),
    # A TLS proxy in front: the server knows no better than ws.
    ("https://example.org", "example.org", "ws"),
    ("https://example.org:8443", "example.org:8443", "ws"),
    # daphne names no scheme.
    ("https://example.org", "example.org", None),
    ("http://example.org", "example.org", None),
]
FOREIGN = [
    ("http://evil.org", "example.org", "ws"),
    ("http://example.org:8000", "example.org", "ws"),
    ("http://example.org", "example.org:8000", "ws"),
    ("https://example.org", "example.org:80", "ws"),
    ("http://sub.example.org", "example.org", "ws"),
    ("http://example.org", "sub.example.org", "ws"),
    ("http://example.org.evil.org", "example.org", "ws"),
    ("http://evilexample.org", "example.org", "ws"),
    ("http://[::1]", "[::2]", "ws"),
    ("http://localhost", "127.0.0.1", "ws"),
    # A page without TLS on a server that is known to have it.
    ("http://example.org", "example.org", "wss"),
    ("http://example.org:443", "example.org", "https"),
    # What is no origin, or nobody's own.
    ("null", "example.org", "ws"),
    ("null", "null", "ws"),
    ("", "example.org", "ws"),
    ("example.org", "example.org", "ws"),
    ("http://example.org/", "example.org", "ws"),
    ("http://example.org/path", "example.org", "ws"),
    ("http://user@example.org", "example.org", "ws"),
    ("http://example.org http://evil.org", "example.org", "ws"),
    ("http://example.org, http://evil.org", "example.org", "ws"),
    ("http://example.org:99999", "example.org:99999", "ws"),
    ("http://example.org:", "example.org", "ws"),
    ("http://.", ".", "ws"),
    ("http://[....]", "[....]", "ws"),
    ("capacitor://example.org", "example.org", "ws"),
    ("file://", "example.org", "ws"),
    ("http://example.org\x00", "example.org", "ws"),
    # What is no host.
    ("http://example.org", "", "ws"),
    ("http://example.org", "example.org/", "ws"),
    ("http://example.org", "user@example.org", "ws"),
    ("http://example.org", "example.org, evil.org", "ws"),
]


@pytest.mark.parametrize(("origin", "host", "scheme"), SAME)
def test_the_same_origin_passes(origin: str, host: str, scheme: str | None) -> None:
    assert passes(Policy(), from_origin(origin, host, scheme))


@pytest.mark.parametrize(("origin", "host", "scheme"), FOREIGN)
def test_another_origin_is_refused(origin: str, host: str, scheme: str | None) -> None:
    assert Policy().refuses(from_origin(origin, host, scheme)) == (Refusal.ORIGIN, origin)


def test_a_request_without_origin_is_no_browsers_and_passes() -> None:
    assert passes(Policy(), handshake(("host", "example.org")))
    assert passes(Policy(origins=["https://other.org"]), handshake())


def test_several_origin_headers_are_refused_even_if_each_would_pass() -> None:
    scope = handshake(("host", "a.org"), ("Origin", "http://a.org"), ("origin", "http://a.org"))
    refused = Policy().refuses(scope)
    assert refused == (Refusal.ORIGIN, "http://a.org, http://a.org")


@pytest.mark.parametrize("hosts", [[], ["a.org", "a.org"], ["a.org", "b.org"]])
def test_without_exactly_one_host_nothing_is_of_the_same_origin(hosts: list[str]) -> None:
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

APPLICATIONS = [
    "file://",  # Electron, Cordova
    "app://.",  # Electron with a scheme of its own
    "app://-",
    "app://obsidian.md",
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "chrome-extension://ajhifddimkapgcifgcodmmfdlknahffk",
    "moz-extension://5a0c4a5f-9d1c-4b6d-8f4e-2f1f6a0a1b2c",
    "safari-web-extension://E2F4C6B8-0A1C-4D3E-9F5A-7B9C1D2E3F40",
    "vscode-webview://0k3vq1f3oa0c8dnn2d7pgv6i6nv2gc3n5tpoc8h9j8d1m0c2v1ab",
    "vscode-file://vscode-app",
    "ms-appx-web://com.example_app~1",
    "qrc://",
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
    ("capacitor://localhost", "capacitor://localhost"),
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


@pytest.mark.parametrize(("entry", "origin"), LISTED)
def test_a_listed_origin_passes(entry: str, origin: str) -> None:
    assert passes(Policy(origins=[entry]), from_origin(origin, "example.org"))
    assert passes(Policy(origins=("https://first.org", entry)), from_origin(origin, "example.org"))


@pytest.mark.parametrize(("entry", "origin"), UNLISTED)
def test_what_is_only_like_a_listed_origin_is_refused(entry: str, origin: str) -> None:
    assert not passes(Policy(origins=[entry]), from_origin(origin, "example.org"))


@pytest.mark.parametrize("origin", [*APPLICATIONS, "null", "https://Other.org.:8443", "http://[::1]"])
def test_a_refusal_shows_the_entry_that_lets_it_in(origin: str) -> None:
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


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "",
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
        " https://other.org",
        5,
        None,
        b"https://other.org",
    ],
)
def test_an_entry_that_no_browser_sends_is_refused_where_it_is_written(entry: Any) -> None:
    with pytest.raises(InvalidOrigin) as raised:
        websocket_app(origins=["https://fine.org", entry])
    assert raised.value.entry == entry
    assert repr(entry) in str(raised.value)


@pytest.mark.parametrize("origins", ["https://other.org", "*", None, 5])
def test_origins_that_are_no_list_are_refused(origins: Any) -> None:
    with pytest.raises(InvalidOrigin, match="is not a list of origins") as raised:
        WebSocketEndpoint.as_asgi(origins=origins)
    assert raised.value.entry == origins


# -- hosts


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("example.org", "example.org"),
        ("example.org", "EXAMPLE.org.:8000"),
        ("Example.ORG.", "example.org"),
        ("*.example.org", "a.b.example.org"),
        ("127.0.0.1", "127.0.0.1:8000"),
        ("[::1]", "[::1]:8000"),
    ],
)
def test_a_listed_host_passes(entry: str, host: str) -> None:
    assert passes(Policy(hosts=[entry]), handshake(("host", host)))


@pytest.mark.parametrize(
    ("entry", "host"),
    [
        ("example.org", "evil.org"),
        ("example.org", "a.example.org"),
        ("*.example.org", "example.org"),
        ("*.example.org", "evilexample.org"),
        ("example.org", "example.org.evil.org"),
        ("example.org", ""),
        ("example.org", "example.org/"),
    ],
)
def test_a_host_that_is_not_listed_is_refused_with_or_without_origin(entry: str, host: str) -> None:
    # DNS rebinding: the foreign page's origin and its host agree.
    for more in ([], [("origin", f"http://{host}")]):
        scope = handshake(("host", host), *more)
        assert Policy(hosts=[entry]).refuses(scope) == (Refusal.HOST, host)
        assert not passes(Policy(hosts=[entry], origins=UNSAFE_ANY), scope)


@pytest.mark.parametrize("lines", [[], ["example.org", "evil.org"], ["example.org", "example.org"]])
def test_a_list_of_hosts_wants_exactly_one_host_header(lines: list[str]) -> None:
    scope = handshake(*(("host", line) for line in lines))
    assert Policy(hosts=["example.org"]).refuses(scope) == (Refusal.HOST, ", ".join(lines))


@pytest.mark.parametrize(
    "entry", ["", "*", "*.", "a b", "http://example.org", "example.org:80", "::1", "*.[::1]", "[....]", ".", 5, None]
)
def test_an_entry_that_is_no_host_is_refused_where_it_is_written(entry: Any) -> None:
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


@pytest.mark.parametrize("host", ["public.org", "public.org, 10.0.0.2", " PUBLIC.org ,proxy"])
@pytest.mark.parametrize("proto", ["https", "HTTPS, http", "wss", None])
def test_forwarded_headers_count_only_if_they_are_trusted(host: str, proto: str | None) -> None:
    assert passes(Policy(trust_forwarded=True), forwarded(host, proto))
    assert not passes(Policy(), forwarded(host, proto))
    assert passes(Policy(hosts=["public.org"], trust_forwarded=True), forwarded(host, proto))
    assert not passes(Policy(hosts=["public.org"]), forwarded(host, proto))


def test_a_trusted_proxy_without_forwarded_host_leaves_the_host_header_to_count() -> None:
    assert passes(Policy(trust_forwarded=True), forwarded(None, None, "http://10.0.0.1:8000"))


@pytest.mark.parametrize("proto", ["https", " HTTPS , http", "wss"])
def test_a_page_without_tls_is_refused_where_the_trusted_proxy_has_tls(proto: str) -> None:
    assert not passes(Policy(trust_forwarded=True), forwarded("public.org", proto, "http://public.org"))
    assert passes(Policy(trust_forwarded=True), forwarded("public.org", "http", "http://public.org"))
