"""The page of the chat in real Chromiums, against a real server."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocketRoute, expect

from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

from .visit import OpenPage, is_here, joins, say, sees_message, sees_state, submit_many

MARKUP: Final = '<img src=x onerror="document.title=1">'


@contextmanager
def frozen(server: ServerProcess) -> Iterator[None]:
    """Stop the server process, so that it neither answers nor closes connections."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


# Counts messages, each before the page's own listener gets it in the same turn; and lets no wait be a short one.
COUNTING: Final = """
  let received = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", () => { document.documentElement.dataset.received = ++received; });
    }
  };
  Math.random = () => 0.999;
"""


def with_a_clock(open_page: OpenPage, url: str) -> Page:
    """Open a page with a clock that can be stopped. Timers that started before the clock would run on."""
    page = open_page("about:blank")
    page.clock.install()
    page.add_init_script(COUNTING)
    page.goto(url)
    return page


def stop_time(page: Page) -> None:
    """Let the page's timers run by `page.clock.run_for` alone."""
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))


def test_two_browsers_in_one_room_see_each_other_come_talk_and_go(open_page: OpenPage, room: str) -> None:
    ada = joins(open_page(room), "Ada")
    is_here(ada, "Ada (you)")
    say(ada, "Is anybody here?")
    grace = joins(open_page(room), "Grace")
    is_here(grace, "Ada", "Grace (you)")
    is_here(ada, "Ada (you)", "Grace")
    sees_message(grace, "Ada", "Is anybody here?")

    say(grace, "I am")
    say(ada, "Good")
    for page in (ada, grace):
        sees_message(page, "Ada", "Good")
        expect(page.locator("li.message .text")).to_have_text(["Is anybody here?", "I am", "Good"])
    expect(ada.locator("li.own .text")).to_have_text(["Is anybody here?", "Good"])
    expect(ada.locator("li.event .text")).to_have_text(["Grace joined"])

    grace.context.close()
    is_here(ada, "Ada (you)")
    expect(ada.locator("li.event .text").last).to_have_text("Grace left")


def test_markup_in_a_name_a_room_and_a_message_is_shown_as_it_was_typed_and_never_run(
    open_page: OpenPage, server: ServerProcess
) -> None:
    name, room = "<script>alert()</script>", f"{uuid4().hex[:8]}{MARKUP}"
    page = open_page(server.url(f"/chat/{quote(room, safe='')}"))
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Room {room}")
    joins(page, name)
    other = joins(open_page(page.url), MARKUP[:32])

    say(page, MARKUP)

    for each in (page, other):
        sees_message(each, name, MARKUP)
        expect(each.locator("#people")).to_contain_text(name)
        expect(each.locator("#people")).to_contain_text(MARKUP[:32])
        assert each.locator("main img, main script, h1 img").count() == 0
        assert each.title() == f"{room}: asgi_ws chat"
    expect(page.locator("li.event .text").last).to_have_text(f"{MARKUP[:32]} joined")


def test_two_tabs_of_one_browser_under_one_name_are_one_person(open_page: OpenPage, room: str) -> None:
    other = joins(open_page(room), "Grace")
    first = joins(open_page(room), "Ada")
    second = first.context.new_page()
    second.goto(room)
    # Offered, since this browser has used it.
    expect(second.get_by_role("textbox", name="Your name")).to_have_value("Ada")
    joins(second, "Ada")
    is_here(second, "Ada (you)", "Grace")
    say(second, "from the second")
    sees_message(first, "Ada", "from the second")
    first.close()
    say(second, "still here")
    sees_message(other, "Ada", "still here")
    expect(other.locator("li.event .text")).to_have_text(["Ada joined"])


def test_a_name_that_somebody_else_has_is_asked_for_again(open_page: OpenPage, room: str) -> None:
    joins(open_page(room), "Ada")
    page = open_page(room)
    name = page.get_by_role("textbox", name="Your name")
    name.fill("ada")
    name.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("this name is taken in this room: choose another one")
    expect(name).to_be_focused()
    joins(page, "Grace")
    is_here(page, "Ada", "Grace (you)")


def test_a_name_can_be_changed(open_page: OpenPage, room: str) -> None:
    grace, page = joins(open_page(room), "Grace"), joins(open_page(room), "Ada")
    page.get_by_role("button", name="Change name").click()
    is_here(grace, "Grace (you)")
    page.reload()
    expect(page.get_by_role("textbox", name="Your name")).to_have_value("Ada")
    joins(page, "Lovelace")
    is_here(grace, "Grace (you)", "Lovelace")


def test_the_front_page_leads_into_a_room_and_a_reload_stays_there(open_page: OpenPage, server: ServerProcess) -> None:
    page = open_page()
    room = page.get_by_role("textbox", name="Room")
    expect(room).to_have_value("lobby")
    for refused in ("..", "a/b", ""):
        room.fill(refused)
        page.get_by_role("button", name="Enter").click()
        assert page.url == server.url("/")
    room.fill("Räume & 100%?")
    page.get_by_role("button", name="Enter").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Room Räume & 100%?")
    joins(page, "Ada")
    page.reload()
    sees_state(page, "Connected")
    is_here(page, "Ada (you)")
    page.get_by_role("link", name="Back to asgi_ws").click()
    expect(page).to_have_url(server.url("/"))
    page.get_by_role("link", name="Open the chat").click()
    expect(page).to_have_url(server.url("/chat/lobby"))


def test_below_another_path_the_chat_works_below_it(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "tests.demo.mounted:app") as process:
        page = joins(open_page(process.url("/below/chat/lobby")), "Ada")
        say(page, "below")
        sees_message(page, "Ada", "below")
        page.get_by_role("link", name="Back to asgi_ws").click()
        expect(page).to_have_url(process.url("/below/"))


# -- the connection


def test_a_killed_server_is_shown_and_after_its_restart_the_room_is_joined_again(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as first:
        page = joins(open_page(first.url("/chat/lobby")), "Ada")
        say(page, "before")
        sees_message(page, "Ada", "before")
        first.kill()
        sees_state(page, "Connection lost")
        expect(page.locator("#retry")).to_have_text(re.compile(r"^Next try in \d+ s$"))
        expect(page.locator("#count")).to_have_text("\u2013")
        expect(page.get_by_role("button", name="Send")).to_be_disabled()
        message = page.get_by_role("textbox", name="Message")
        message.fill("after")
        message.press("Enter")
        expect(message).to_have_value("after")

    with ServerProcess(SERVERS[0], "asgi_ws:app", port=first.port) as second:
        expect(page.get_by_role("status")).to_have_text("Connected", timeout=30_000)
        expect(page.locator("#retry")).to_be_empty()
        message.press("Enter")
        sees_message(page, "Ada", "after")
        other = joins(open_page(second.url("/chat/lobby")), "Grace")
        say(other, "welcome back")
        sees_message(page, "Grace", "welcome back")
        expect(page.locator("li.message .text")).to_have_text(["before", "after", "welcome back"])
        expect(page.locator("li.event .text").first).to_have_text(
            "The server was restarted; earlier messages are gone."
        )


def test_the_waits_between_tries_grow_and_the_button_tries_at_once(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as first:
        page = joins(with_a_clock(open_page, first.url("/chat/lobby")), "Ada")
        stop_time(page)
        first.kill()
        for seconds in (1, 2, 4, 8, 16, 20, 20):
            expect(page.locator("#retry")).to_have_text(f"Next try in {seconds} s")
            sees_state(page, re.compile("^Connection lost$|^No connection$"))
            page.get_by_role("button", name="Reconnect now").click()
    page.get_by_role("button", name="Reconnect now").wait_for()
    with ServerProcess(SERVERS[0], "asgi_ws:app", port=first.port):
        # No timer runs on this page.
        page.get_by_role("button", name="Reconnect now").click()
        sees_state(page, "Connected")
        # The button cancelled the planned attempts.
        later: list[str] = []
        page.on("websocket", lambda websocket: later.append(websocket.url))
        page.clock.run_for(19_000)
        sees_state(page, "Connected")
        assert later == []


def test_a_message_that_came_while_the_connection_was_lost_is_there_after_it(open_page: OpenPage, room: str) -> None:
    page, other = joins(open_page(room), "Ada"), joins(open_page(room), "Grace")
    say(other, "one")
    sees_message(page, "Grace", "one")
    page.get_by_role("button", name="Disconnect").click()
    sees_state(page, "Disconnected")
    is_here(other, "Grace (you)")
    say(other, "two")
    sees_message(other, "Grace", "two")
    page.get_by_role("button", name="Reconnect").click()
    sees_state(page, "Connected")
    expect(page.locator("li.message .text")).to_have_text(["one", "two"])


def test_a_message_that_overtakes_the_history_is_shown_after_it_and_once(open_page: OpenPage, room: str) -> None:
    grace = joins(open_page(room), "Grace")
    for text in ("one", "two"):
        say(grace, text)
        sees_message(grace, "Grace", text)
    page = open_page("about:blank")

    def overtake(route: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            answer = json.loads(message)
            if answer["type"] == "sub":
                newest = answer["messages"][-1]
                data = {**newest["data"], "text": "three"}
                route.send(json.dumps({**newest, "type": "msg", "offset": answer["offset"] + 1, "data": data}))
            route.send(message)

        route.connect_to_server().on_message(pass_on)

    page.route_web_socket(re.compile("/chat/"), overtake)
    page.goto(room)
    joins(page, "Ada")
    expect(page.locator("li.message .text")).to_have_text(["one", "two", "three"])


def test_a_server_that_no_longer_answers_is_a_lost_connection(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as server:
        page = joins(with_a_clock(open_page, server.url("/chat/lobby")), "Ada")
        is_here(page, "Ada (you)")
        stop_time(page)
        for _ in range(3):
            # It is asked in these seconds, and answers.
            received = page.locator("html").get_attribute("data-received") or ""
            page.clock.run_for(20_000)
            expect(page.locator("html")).not_to_have_attribute("data-received", received)
        sees_state(page, "Connected")
        with frozen(server):
            say(page, "into the void")
            lost = page.get_by_text("Connection lost: no answer")
            for _ in range(60):
                # Shorter than the wait before the next try.
                page.clock.run_for(500)
                if lost.is_visible():
                    break
            sees_state(page, "Connection lost: no answer")
            expect(page.get_by_role("alert")).to_have_text(re.compile("^This message may not have arrived"))
            expect(page.get_by_role("textbox", name="Message")).to_have_value("into the void")
        page.clock.run_for(1000)
        sees_state(page, "Connected")


def test_the_network_s_return_is_a_reason_to_try_at_once(open_page: OpenPage) -> None:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as first:
        page = joins(with_a_clock(open_page, first.url("/chat/lobby")), "Ada")
        stop_time(page)
        first.kill()
        sees_state(page, "Connection lost")
    with ServerProcess(SERVERS[0], "asgi_ws:app", port=first.port):
        page.evaluate("dispatchEvent(new Event('online'))")
        sees_state(page, "Connected")


def test_a_page_that_becomes_visible_again_asks_the_server_at_once(open_page: OpenPage, room: str) -> None:
    page = joins(with_a_clock(open_page, room), "Ada")
    is_here(page, "Ada (you)")
    stop_time(page)
    received = page.locator("html").get_attribute("data-received") or ""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("html")).not_to_have_attribute("data-received", received)
    sees_state(page, "Connected")


def test_a_flood_ends_the_connection_for_good_and_the_page_says_why(open_page: OpenPage, room: str) -> None:
    page = joins(open_page(room), "Ada")
    submit_many(page, 30)
    sees_state(page, "The server ended the connection: too many messages per second")
    expect(page.get_by_role("button", name="Reconnect", exact=True)).to_be_visible()
    expect(page.locator("#retry")).to_be_empty()


# -- what is shown


def test_messages_of_one_author_in_one_minute_are_a_group_below_their_day(open_page: OpenPage, room: str) -> None:
    page = open_page("about:blank")
    times = iter(["2026-11-30T12:00:05Z", "2026-11-30T12:00:55Z", "2026-11-30T12:01:00Z", "2026-12-01T12:01:00Z"])

    def set_time(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def dated(message: str | bytes) -> None:
            data = json.loads(message)
            if data["type"] == "msg":
                data["data"]["time"] = datetime.fromisoformat(next(times)).timestamp()
            route.send(json.dumps(data))

        server.on_message(dated)

    page.route_web_socket(re.compile("/chat/"), set_time)
    page.goto(room)
    joins(page, "Ada")
    for text in ("one", "two", "three", "four"):
        say(page, text)
        sees_message(page, "Ada", text)
    expect(page.locator("#entries .text")).to_have_text(
        ["Monday, November 30, 2026", "one", "two", "three", "Tuesday, December 1, 2026", "four"]
    )
    expect(page.locator("li.follows .text")).to_have_text(["two"])
    # The author of each message is there for a screen reader.
    expect(page.locator("li.message .who")).to_have_text(["Ada"] * 4)
    expect(page.locator("li.follows time")).not_to_be_in_viewport()


def test_a_full_list_keeps_the_day_and_the_author_of_its_oldest_message(open_page: OpenPage, room: str) -> None:
    classes = open_page(room).evaluate(
        """async () => {
          const { Log } = await import(new URL("../log.js", location.href));
          const [log, entries, newer] = ["div", "ol", "button"].map((tag) => document.createElement(tag));
          const list = new Log({ log, entries, newer }, 3);
          const after = (...names) => {
            for (const className of names) {
              list.append(Object.assign(document.createElement("li"), { className }));
            }
            return [...entries.children].map((item) => item.className);
          };
          return [after("day", "message", "message follows", "message follows"), after("day", "message")];
        }"""
    )
    assert classes == [["day", "message", "message follows"], ["day", "message"]]


def test_a_reader_who_scrolled_up_stays_there_and_a_button_leads_to_new_messages(
    open_page: OpenPage, room: str
) -> None:
    page, other = joins(open_page(room), "Ada"), joins(open_page(room), "Grace")
    log, newer = page.locator("#log"), page.get_by_role("button", name="New messages")
    for number in range(4):
        say(other, "long " * 180)
        expect(page.locator("li.message")).to_have_count(number + 1)
    expect(newer).to_be_hidden()
    log.evaluate("(log) => { log.scrollTop = 10 }")
    say(other, "news")
    expect(newer).to_be_visible()
    assert log.evaluate("(log) => log.scrollTop") == 10
    newer.click()
    expect(newer).to_be_hidden()
    expect(page.get_by_text("news", exact=True)).to_be_in_viewport()
    expect(log).to_be_focused()
    # The reader's own message leads to the end as well.
    log.evaluate("(log) => { log.scrollTop = 10 }")
    say(page, "mine")
    expect(page.get_by_text("mine", exact=True)).to_be_in_viewport()
    expect(newer).to_be_hidden()


def test_with_a_keyboard_on_the_screen_the_composer_and_the_last_message_stay_visible(
    open_page: OpenPage, room: str
) -> None:
    page = joins(open_page(room, viewport={"width": 390, "height": 780}), "Ada")
    for number in range(5):
        say(page, f"message {number}")
        sees_message(page, "Ada", f"message {number}")
    # A keyboard makes the viewport shorter: `interactive-widget=resizes-content` says so to the browser.
    expect(page.locator("meta[name=viewport]")).to_have_attribute("content", re.compile("resizes-content"))
    page.set_viewport_size({"width": 390, "height": 340})
    expect(page.locator("li.message").last).to_be_in_viewport(ratio=0.9)
    for control in (page.get_by_role("textbox", name="Message"), page.get_by_role("button", name="Send")):
        expect(control).to_be_in_viewport(ratio=1)
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")


# -- limits


def test_the_rate_limit_is_told_before_and_when_it_is_hit_and_the_connection_stays(
    open_page: OpenPage, room: str
) -> None:
    page = joins(open_page(room), "Ada")
    expect(page.get_by_text("Up to 5 messages a second")).to_be_visible()

    submit_many(page, 7)

    expect(page.get_by_role("alert")).to_have_text("message not sent: the limit is 5 messages a second")
    expect(page.locator("li.message")).to_have_count(5)
    message = page.get_by_role("textbox", name="Message")
    expect(message).to_have_value("message 6 message 7")
    sees_state(page, "Connected")
    # The text that was refused can be sent as soon as the limit allows it.
    page.evaluate(
        """async () => {
          const form = document.getElementById("form");
          while (document.querySelectorAll("li.message").length < 6) {
            form.requestSubmit();
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
        }"""
    )
    sees_message(page, "Ada", "message 6 message 7")
    expect(page.get_by_role("alert")).to_be_empty()


def test_after_a_crowd_the_page_asks_who_is_here(open_page: OpenPage, room: str) -> None:
    page = with_a_clock(open_page, "about:blank")

    def tell_of_a_crowd(route: WebSocketRoute) -> None:
        server = route.connect_to_server()
        crowd = json.dumps({"type": "crowd", "room": urlsplit(room).path.rpartition("/")[2]})
        server.on_message(lambda message: route.send(crowd if '"type":"join"' in str(message) else message))

    page.route_web_socket(re.compile("/chat/"), tell_of_a_crowd)
    page.goto(room)
    joins(page, "Ada")
    is_here(page, "Ada (you)")
    stop_time(page)
    for name in ("Grace", "Zoë"):
        joins(open_page(room), name)
    is_here(page, "Ada (you)")
    page.clock.run_for(10_000)
    is_here(page, "Ada (you)", "Grace", "Zoë")


def test_a_page_of_another_origin_gets_no_connection(open_page: OpenPage, server: ServerProcess) -> None:
    start = server.log_size()
    # The same server under another name: another origin (RFC 6454 section 4).
    page = open_page(f"http://localhost:{server.port}/hello")
    code = page.evaluate(
        """(url) => new Promise((resolve) => {
          const socket = new WebSocket(url, "asgi-ws.v1");
          socket.addEventListener("open", () => resolve("open"));
          socket.addEventListener("close", ({ code }) => resolve(code));
        })""",
        server.url("/chat/lobby?name=Mallory", "ws"),
    )
    assert code == 1006
    assert f"refused WebSocket from origin 'http://localhost:{server.port}'" in server.log(start)


def test_a_whole_visit_reports_no_error_and_asks_no_other_host(
    browser: Browser, server: ServerProcess, room: str
) -> None:
    messages: list[str] = []
    hosts: set[str] = set()

    def note(message: ConsoleMessage) -> None:
        messages.append(message.text)

    with browser.new_context() as context, context.new_page() as page:
        page.on("console", note)
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.on("requestfailed", lambda request: messages.append(f"failed: {request.url}"))
        page.on("websocket", lambda websocket: hosts.add(urlsplit(websocket.url).netloc))
        page.goto(room)
        joins(page, "Ada")
        say(page, "a")
        sees_message(page, "Ada", "a")
        page.get_by_role("button", name="Disconnect").click()
        sees_state(page, "Disconnected")
    assert messages == []
    assert hosts == {f"127.0.0.1:{server.port}"}


def test_without_javascript_the_page_says_what_is_missing(open_page: OpenPage, room: str) -> None:
    expect(open_page(room, java_script_enabled=False).get_by_role("main")).to_have_text(
        "This chat needs JavaScript.", use_inner_text=True
    )
