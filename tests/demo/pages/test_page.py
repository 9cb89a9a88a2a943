"""The page of the default application in a real Chromium, against a real server."""

import re
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, WebSocketRoute, expect

import asgi_ws.demo
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

from .visit import OpenPage, joins, say, sees_message, sees_state, submit_many


def test_a_message_is_answered_and_the_time_until_the_answer_is_shown(
    open_page: OpenPage, server: ServerProcess
) -> None:
    page = open_page()
    sees_state(page, "Connected")
    expect(page.get_by_role("textbox", name="URL")).to_have_value(server.url("/ws", "ws"))

    say(page, "Grüße")

    entries = page.get_by_role("log", name="Messages").get_by_role("listitem")
    expect(entries.nth(-2)).to_have_text("sentGrüße")
    expect(entries.last).to_have_text(re.compile(r"^receivedOK!\d+\.\d ms$"))
    expect(page.locator("#sent")).to_have_text("1 (7 bytes)")
    expect(page.locator("#received")).to_have_text("1 (3 bytes)")
    expect(page.locator("#last")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    expect(page.locator("#fastest")).to_have_text(page.locator("#last").inner_text())
    expect(page.get_by_role("textbox", name="Message")).to_have_value("")

    page.get_by_role("button", name="Clear").click()
    expect(entries).to_have_count(0)
    expect(page.locator("dl.counts dd")).to_have_text(["0", "0", "\u2013", "\u2013"])
    sees_state(page, "Connected")


def test_json_is_checked_before_it_is_sent(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")
    page.get_by_label("JSON").check()
    say(page, '{"a": 1,}')
    expect(page.get_by_role("alert").last).to_have_text(re.compile("^Not sent, because this is not JSON: .*position 8"))
    expect(page.get_by_role("textbox", name="Message")).to_have_value('{"a": 1,}')
    expect(page.locator(".sent")).to_have_count(0)
    say(page, '{"a": 1}')
    expect(page.locator(".sent .text")).to_have_text('{"a": 1}')
    expect(page.get_by_role("alert").last).to_be_empty()


def test_binary_is_written_in_hex_and_received_as_hex_and_text(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page("about:blank")
    sent: list[str | bytes] = []

    def keep(message: str | bytes) -> None:
        sent.append(message)

    def answer(route: WebSocketRoute) -> None:
        route.on_message(keep)
        for message in (b"Gr\xc3\xbc\xc3\x9fe", b"\x00\xff", b""):
            route.send(message)

    page.route_web_socket(re.compile("/ws$"), answer)
    page.goto(server.url("/"))
    expect(page.locator(".received .text")).to_have_text(
        ["7 bytes47 72 c3 bc c3 9f 65as text: Grüße", "2 bytes00 ff", "0 bytes"]
    )
    page.get_by_label("Binary, in hex").check()
    say(page, "48 6")
    expect(page.get_by_role("alert").last).to_have_text(re.compile("^Not sent, because this is not hex"))
    assert sent == []
    say(page, "48 69 0A")
    expect(page.locator(".sent .text")).to_have_text("3 bytes48 69 0aas text: Hi\n")
    assert sent == [b"Hi\n"]


def test_a_url_that_the_page_cannot_connect_to_is_explained(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page(server.url("/?url=hello"))
    sees_state(page, "Not connected")
    url, error = page.get_by_role("textbox", name="URL"), page.get_by_role("alert").first
    for wrong, text in (
        ("ws://", "This is not a URL"),
        ("wss://example.org/ws", f"This page can connect only to its own server, 127.0.0.1:{server.port}."),
    ):
        url.fill(wrong)
        url.press("Enter")
        expect(error).to_contain_text(text)
    page.get_by_role("textbox", name="Subprotocol").fill("a b")
    url.fill("/ws")
    url.press("Enter")
    expect(error).to_contain_text("subprotocol 'a b' is invalid")
    page.get_by_role("textbox", name="Subprotocol").fill("")
    # A page and not a WebSocket: the handshake is refused, and the page tries again.
    url.fill("hello")
    url.press("Enter")
    sees_state(page, "No connection (code 1006)")
    expect(error).to_be_empty()
    page.get_by_role("button", name="Stop trying").click()
    sees_state(page, "Disconnected")
    url.fill("/ws")
    url.press("Enter")
    sees_state(page, "Connected")


def test_markup_in_a_message_is_shown_as_it_was_typed_and_never_run(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")
    markup = '<img src=x onerror="document.title=\'run\'"><script>document.title="run"</script>'

    say(page, markup)

    expect(page.locator(".received")).to_have_count(1)
    expect(page.locator(".sent .text")).to_have_text(markup)
    assert page.locator("#entries img, #entries script").count() == 0
    assert page.title() == "asgi_ws: try a WebSocket"


def test_after_disconnect_nothing_is_sent_and_connect_connects_again(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    page.get_by_role("button", name="Disconnect").click()
    sees_state(page, "Disconnected")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    # Text typed without a connection is kept.
    message = page.get_by_role("textbox", name="Message")
    message.fill("later")
    message.press("Enter")
    expect(message).to_have_value("later")
    expect(page.locator(".sent")).to_have_count(0)

    page.get_by_role("button", name="Connect").click()
    sees_state(page, "Connected")
    message.press("Enter")
    expect(page.locator(".received")).to_have_count(1)


def test_the_server_s_close_code_and_reason_are_shown(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    say(page, "x" * (1024 * 1024 + 1))

    sees_state(page, re.compile(r"^A message was too large for the server: .+ \(code 1009\)$"))
    # The same message would end a new connection in the same way.
    expect(page.get_by_role("button", name="Connect", exact=True)).to_be_visible()
    expect(page.locator(".sent .text")).to_have_text(re.compile(r"^x{2000}… \(1046577 more characters\)$"))


def test_after_a_server_is_killed_the_page_reconnects_to_its_successor(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as first:
        page = open_page(first.url("/"))
        sees_state(page, "Connected")
        first.kill()
        sees_state(page, re.compile("Connection lost|No connection"))
        expect(page.locator("#retry")).to_have_text(re.compile(r"^Next try in \d+ s$"))

    # The page is bound to the port that it came from.
    with ServerProcess(SERVERS[0], "asgi_ws:app", port=first.port):
        sees_state(page, "Connected")
        say(page, "back")
        expect(page.locator(".received")).to_have_count(1)
        expect(page.locator(".event .text").nth(1)).to_have_text("Connection lost (code 1006)")


def test_a_server_that_stops_in_order_is_shown_with_its_code(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as process:
        page = open_page(process.url("/"))
        sees_state(page, "Connected")
        process.terminate()
        sees_state(page, re.compile(r"^(The server is restarting|No connection).*\(code 10\d\d\)$"))
        expect(page.locator(".event .text").nth(1)).to_have_text(re.compile(r"\(code 1012\)$"))


def test_the_page_below_another_path_connects_below_it(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "tests.demo.mounted:app") as process:
        page = open_page(process.url("/below/?a=1#part"))
        sees_state(page, "Connected")
        expect(page.locator("#url")).to_have_value(process.url("/below/ws", "ws"))
        page.get_by_role("link", name="hello").click()
        expect(page.locator("body")).to_have_text("Hello, World!")


def test_the_list_of_messages_stays_bounded_and_ends_with_the_last(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    submit_many(page, 150)

    expect(page.locator("#received")).to_have_text("150 (450 bytes)")
    expect(page.locator("#entries li")).to_have_count(200)
    expect(page.locator("#entries")).not_to_contain_text("Connecting")
    expect(page.locator("#entries li").last).to_be_in_viewport()


def test_a_whole_visit_reports_no_error_and_asks_no_other_host(browser: Browser, server: ServerProcess) -> None:
    messages: list[str] = []
    hosts: set[str | None] = set()

    def note(message: ConsoleMessage) -> None:
        messages.append(message.text)

    with browser.new_context() as context, context.new_page() as page:
        page.on("console", note)
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("requestfailed", lambda request: messages.append(f"failed: {request.url}"))
        page.on("websocket", lambda websocket: hosts.add(urlsplit(websocket.url).netloc))
        page.goto(server.url("/"))
        sees_state(page, "Connected")
        say(page, "a")
        expect(page.locator(".received")).to_have_count(1)
        page.get_by_role("button", name="Disconnect").click()
        sees_state(page, "Disconnected")

        assert messages == []
        assert hosts == {f"127.0.0.1:{server.port}"}

        # The list above would show a violation of the policy: the browser reports it on its console.
        page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))")
        assert page.evaluate("typeof ran") == "undefined"
        assert "Content Security Policy" in " ".join(messages)


def test_without_javascript_the_page_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    sees_state(page, "Not connected: this page needs JavaScript.")


@pytest.mark.parametrize("prefix", ["", "/behind/a/proxy"])
def test_the_page_in_another_application_connects_to_its_websocket(
    open_page: OpenPage, tmp_path: Path, prefix: str
) -> None:
    (tmp_path / "theirs.py").write_text(example_of(asgi_ws.demo))
    options = [f"--root-path={prefix}"] if prefix else []
    with ServerProcess(SERVERS[0], "theirs:app", options=options, cwd=tmp_path) as process:
        # uvicorn serves the paths that a proxy has stripped of the prefix, and redirects to those that have it.
        page = open_page(process.url("/try/" if prefix else "/try"))
        sees_state(page, "Connected")
        expect(page.get_by_role("textbox", name="URL")).to_have_value(process.url("/try/ws", "ws"))

        page.goto(process.url("/"))
        # A link alone does not connect.
        sees_state(page, "Not connected")
        page.get_by_role("button", name="Connect").click()
        sees_state(page, "Connected with the subprotocol notes.v1")
        expect(page.get_by_role("textbox", name="URL")).to_have_value(process.url("/notes/Ada", "ws"))
        say(page, "hello")
        expect(page.locator(".received .text")).to_have_text("Ada: hello")

        page.get_by_role("link", name="Open the chat").click()
        joins(page, "Ada")
        say(page, "in another application")
        sees_message(page, "Ada", "in another application")


def example_of(module: ModuleType) -> str:
    """Return the indented block of a docstring."""
    lines = (module.__doc__ or "").splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines if not line or line.startswith("    "))
