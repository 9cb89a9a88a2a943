"""The page of the default application in a real Chromium, against a real server."""

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, expect

from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

from .visit import OpenPage, say, sees_state, submit_many


def test_a_message_is_answered_and_its_round_trip_time_shown(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page()
    sees_state(page, "Connected")
    expect(page.locator("#url")).to_have_text(server.url("/ws", "ws"))

    say(page, "Grüße")

    entries = page.get_by_role("log", name="Messages").get_by_role("listitem")
    expect(entries.nth(-2)).to_have_text("sentGrüße")
    expect(entries.last).to_have_text(re.compile(r"^receivedOK!\d+\.\d ms$"))
    expect(page.locator("#sent")).to_have_text("1 (7 bytes)")
    expect(page.locator("#received")).to_have_text("1 (3 bytes)")
    expect(page.locator("#last")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    expect(page.locator("#shortest")).to_have_text(page.locator("#last").inner_text())
    expect(page.get_by_role("textbox", name="Message")).to_have_value("")


def test_markup_in_a_message_is_shown_as_it_was_typed_and_never_run(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")
    markup = '<img src=x onerror="document.title=\'run\'"><script>document.title="run"</script>'

    say(page, markup)

    expect(page.locator(".received")).to_have_count(1)
    expect(page.locator(".sent .text")).to_have_text(markup)
    assert page.locator("#entries img, #entries script").count() == 0
    assert page.title() == "asgi_ws: the default application"


def test_disconnect_shows_the_close_code_and_reconnect_connects_again(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    page.get_by_role("button", name="Disconnect").click()
    sees_state(page, "Closed (code 1000)")
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    # What is typed without a connection is kept until there is one.
    message = page.get_by_role("textbox", name="Message")
    message.fill("later")
    message.press("Enter")
    expect(message).to_have_value("later")
    expect(page.locator(".sent")).to_have_count(0)

    page.get_by_role("button", name="Reconnect").click()
    sees_state(page, "Connected")
    message.press("Enter")
    expect(page.locator(".received")).to_have_count(1)


def test_the_server_s_close_code_and_reason_are_shown(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    say(page, "x" * (1024 * 1024 + 1))

    sees_state(page, re.compile(r"^Closed \(code 1009: .+\)$"))
    expect(page.locator(".sent .text")).to_have_text(re.compile(r"^x{2000}… \(1046577 more characters\)$"))


def test_a_killed_server_is_a_lost_connection_and_a_restarted_one_is_reconnected_to(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as first:
        page = open_page(first.url("/"))
        sees_state(page, "Connected")
        first.kill()
        sees_state(page, "Connection lost (code 1006)")

        page.get_by_role("button", name="Reconnect").click()
        sees_state(page, "Failed: no connection (code 1006)")

    # The page is bound to the port that it came from.
    with ServerProcess(SERVERS[0], "asgi_ws:app", port=first.port):
        page.get_by_role("button", name="Reconnect").click()
        sees_state(page, "Connected")
        say(page, "back")
        expect(page.locator(".received")).to_have_count(1)


def test_a_server_that_stops_in_order_is_shown_with_its_code(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as process:
        page = open_page(process.url("/"))
        sees_state(page, "Connected")
        process.terminate()
        sees_state(page, re.compile(r"^Closed \(code 1012.*\)$"))


def test_the_page_below_another_path_connects_below_it(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "tests.demo.mounted:app") as process:
        page = open_page(process.url("/below/?a=1#part"))
        sees_state(page, "Connected")
        expect(page.locator("#url")).to_have_text(process.url("/below/ws", "ws"))
        page.get_by_role("link", name="/hello").click()
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
        sees_state(page, "Closed (code 1000)")

        assert messages == []
        assert hosts == {f"127.0.0.1:{server.port}"}

        # What the list above would have shown: the browser reports a violation of the policy on its console.
        page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'ran = 1'}))")
        assert page.evaluate("typeof ran") == "undefined"
        assert "Content Security Policy" in " ".join(messages)


def test_without_javascript_the_page_says_what_is_missing(open_page: OpenPage) -> None:
    page = open_page(java_script_enabled=False)
    sees_state(page, "Not connected: this page needs JavaScript for its WebSocket.")
