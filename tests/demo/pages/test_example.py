"""The client of docs/how-to/browser.md in a real Chromium, against the chat."""

import re
from typing import Final

from playwright.sync_api import WebSocketRoute, expect

from tests.servers.launch import ServerProcess
from tests.servers.program import PROJECT

from .visit import OpenPage, joins, say, sees_message

EXAMPLE: Final = (PROJECT / "examples" / "browser_chat.js").read_text(encoding="utf-8")


def test_the_example_shows_each_message_once_after_a_reconnect(open_page: OpenPage, server: ServerProcess) -> None:
    source = EXAMPLE.replace('"lobby"', '"example"')
    other = joins(open_page(server.url("/chat/example")), "Grace")
    page = open_page(server.url("/hello"))
    routes: list[WebSocketRoute] = []

    def lose_the_second_message(route: WebSocketRoute) -> None:
        upstream = route.connect_to_server()
        routes.extend([route, upstream])
        is_first = len(routes) == 2

        def forward(message: str | bytes) -> None:
            if not (is_first and '"two"' in str(message)):
                route.send(message)

        upstream.on_message(forward)

    page.route_web_socket(re.compile("/chat/"), lose_the_second_message)
    page.add_script_tag(type="module", content=source)
    expect(page).to_have_title("open")
    say(other, "one")
    # The page has joined once it shows a message. Before that the history could bring the second one.
    expect(page.locator("p")).to_have_text(["Grace: one"])
    say(other, "two")
    sees_message(other, "Grace", "two")
    expect(page.locator("p")).to_have_text(["Grace: one"])

    for route in routes[:2]:
        route.close(code=1012)
    expect(page.locator("p")).to_have_text(["Grace: one", "Grace: two"])
    say(other, "three")
    expect(page.locator("p")).to_have_text(["Grace: one", "Grace: two", "Grace: three"])
