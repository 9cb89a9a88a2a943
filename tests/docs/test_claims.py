"""Compare tables and lists of the documentation with the code."""

import logging
import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

import pytest

import asgi_ws
from asgi_ws import CloseCode, Limits, OutboxLimits, Overflow, Refusal, WebSocketApp, WebSocketState
from asgi_ws.close_codes import as_private_code
from asgi_ws.errors import AsgiWsError
from asgi_ws.routing.patterns import CONVERTERS
from asgi_ws.security import Policy
from asgi_ws.websocket.state import APPLICATION_TRANSITIONS, PEER_TRANSITIONS
from tests.servers.program import PROJECT

from .blocks import blocks_of

DOCS: Final = PROJECT / "docs"
LIFECYCLE: Final = DOCS / "explanation" / "lifecycle.md"

Row = tuple[str, ...]


def table(page: str, *header: str) -> list[Row]:
    """Return the rows of the table with this header, without backticks."""
    lines = iter((DOCS / page).read_text(encoding="utf-8").splitlines())
    rows: list[Row] = []
    for line in lines:
        if _cells(line) == header:
            next(lines)
            for row in lines:
                if not row.startswith("|"):
                    return rows
                rows.append(_cells(row))
    assert rows, f"{page} has no table with the header {header}"
    return rows


def _cells(line: str) -> Row:
    return tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|"))


def transitions(of: Mapping[WebSocketState, Mapping[str, WebSocketState]]) -> set[Row]:
    return {(state.name, event, following.name) for state, events in of.items() for event, following in events.items()}


def test_the_two_transition_tables_are_those_of_the_code() -> None:
    peer = table("explanation/lifecycle.md", "peer's state", "event from the server", "next state")
    assert set(peer) == transitions(PEER_TRANSITIONS)
    own = table("explanation/lifecycle.md", "our state", "event to the server", "by", "next state")
    assert {(state, event, following) for state, event, _, following in own} == transitions(APPLICATION_TRANSITIONS)


def test_the_close_codes_of_policies_are_listed_with_their_reasons() -> None:
    rows = {(int(code), reason) for code, reason, _ in table("explanation/lifecycle.md", "code", "reason", "sent when")}
    only_before_accept = {Refusal.ORIGIN, Refusal.HOST, Refusal.CONNECTIONS, Refusal.CONNECTIONS_PER_CLIENT}
    only_before_accept |= {Refusal.ACCEPT_TIMEOUT, Refusal.NOT_ACCEPTED, Refusal.BODY_BYTES}
    expected = {(refusal.close_code, refusal.reason) for refusal in set(Refusal) - only_before_accept}
    own = {CloseCode.NORMAL, CloseCode.INTERNAL_ERROR, CloseCode.SERVICE_RESTART}
    assert rows == expected | {(code, "") for code in own}


def test_troubleshooting_lists_every_status_and_close_code_of_a_refusal() -> None:
    page = "how-to/troubleshooting.md"
    statuses = {row[0].partition(" ")[0] for row in table(page, "Status", "Cause", "What to do")}
    codes = {row[0] for row in table(page, "Code", "Cause", "What to do")}
    before_accept = {Refusal.ORIGIN, Refusal.HOST, Refusal.NOT_ACCEPTED, Refusal.ACCEPT_TIMEOUT}
    before_accept |= {Refusal.CONNECTIONS, Refusal.CONNECTIONS_PER_CLIENT}
    assert {str(refusal.status) for refusal in before_accept} <= statuses
    assert {str(refusal.close_code) for refusal in Refusal} <= codes


def test_the_refusals_are_listed_as_they_are() -> None:
    rows = table("reference/policy.md", "name", "status before accept", "close code after it", "reason")
    assert rows == [(each.name, str(each.status), str(each.close_code), each.reason) for each in Refusal]


def test_the_close_codes_are_listed_as_they_are() -> None:
    codes = [(name, str(code)) for name, code in vars(CloseCode).items() if name.isupper()]
    assert table("reference/websocket.md", "name", "code") == codes


def test_the_states_are_listed_as_they_are() -> None:
    text = (DOCS / "reference" / "websocket.md").read_text(encoding="utf-8")
    line = text.partition("::: asgi_ws.WebSocketState\n\n")[2].partition("\n")[0]
    assert set(re.findall(r"`(\w+)`", line)) == {state.name for state in WebSocketState}


def test_the_converters_are_listed_as_they_are() -> None:
    rows = table("reference/application.md", "converter", "matches", "value")
    assert [name.partition(" ")[0] for name, *_ in rows] == list(CONVERTERS)


def test_the_limits_are_listed_with_their_defaults() -> None:
    shown = {row[0].partition(" ")[0]: row[1] for row in table("how-to/limits.md", "Limit", "Default", "Above it")}
    words = {None: "none", 1024 * 1024: "1 MiB", 10.0: "10"}
    defaults = Limits()
    assert shown == {name: words[getattr(defaults, name)] for name in Limits.__slots__}


def test_the_bounds_of_an_outbox_are_listed_with_their_defaults() -> None:
    shown = {
        row[0].partition(" ")[0]: row[1]
        for row in table("how-to/overflow.md", "field", "default", "of each connection")
    }
    words = {256 * 1024: "256 KiB", 1024 * 1024: "1 MiB", 1024: "1024", 10.0: "10"}
    defaults = OutboxLimits()
    assert shown == {name: words[getattr(defaults, name)] for name in OutboxLimits.__slots__}


def test_the_policies_for_slow_clients_are_listed() -> None:
    rows = table("how-to/overflow.md", "policy", "above the limit", "choose it when", "the client")
    assert [row[0] for row in rows] == list(Overflow)


def test_the_private_codes_of_daphne_are_told_as_they_are() -> None:
    text = LIFECYCLE.read_text(encoding="utf-8")
    assert re.search(rf"1001.1014 go out as {as_private_code(1001)}.{as_private_code(1014)}", text)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "verdict"), table("explanation/origins.md", "Origin", "Host", "connection", "")
)
def test_the_table_of_origins_is_true(origin: str, host: str, scheme: str, verdict: str) -> None:
    hosts = ["example.org", "localhost:8000"] if host == "any" else [host]
    schemes = ["ws", "wss"] if scheme == "any" else [scheme.partition(",")[0]]
    lines = [] if origin == "none" else [(b"origin", origin.encode())]
    for each_host in hosts:
        for each_scheme in schemes:
            scope = {"scheme": each_scheme, "headers": [(b"host", each_host.encode()), *lines]}
            assert (Policy().refuses(scope) is None) == verdict.startswith("allowed")


async def test_the_log_line_of_a_refused_origin_is_as_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(event: object) -> None: ...

    endpoint: WebSocketApp = asgi_ws.WebSocketEndpoint.as_asgi()
    headers = [(b"host", b"127.0.0.1:8000"), (b"origin", b"https://example.org")]
    with caplog.at_level(logging.INFO, logger="asgi_ws"):
        await endpoint({"type": "websocket", "path": "/", "headers": headers}, receive, send)
    (shown,) = (block.text for block in blocks_of(DOCS / "how-to" / "origins.md") if block.language == "text")
    assert caplog.messages == [shown.strip()]


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    (drawn,) = (block.text for block in blocks_of(DOCS / "reference" / "errors.md") if block.language == "text")
    line_of = {match[2]: len(match[1]) // 4 for match in re.finditer(r"^([ │├└─]*)(\w+)", drawn, re.MULTILINE)}
    assert line_of == dict(_depths(AsgiWsError, 0))


def _depths(kind: type[AsgiWsError], depth: int) -> list[tuple[str, int]]:
    children = [child for child in kind.__subclasses__() if getattr(asgi_ws, child.__name__, None) is child]
    return [(kind.__name__, depth), *(pair for child in children for pair in _depths(child, depth + 1))]


def test_the_reference_has_every_public_name() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"^::: asgi_ws\.(\w+)$", text, re.MULTILINE)) | set(re.findall(r"`asgi_ws\.(\w+)`", text))
    named |= {"WebSocketDisconnect"} & set(re.findall(r"`(\w+)`", text))
    assert set(asgi_ws.__all__) - named == set()


def test_the_changelog_names_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(asgi_ws.__version__)} - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md"])
def test_the_names_in_backticks_that_look_like_ours_exist(name: str) -> None:
    text = (PROJECT / name).read_text(encoding="utf-8")
    for dotted in re.findall(r"`@?asgi_ws\.(\w+)`", text):
        assert hasattr(asgi_ws, dotted) or find_spec(f"asgi_ws.{dotted}"), dotted
