"""The pages for everyone: keyboard, names, contrast, narrow screens, reduced motion; in a real Chromium."""

import re
from typing import Any, Final
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.servers.launch import ServerProcess

from .visit import OpenPage, is_here, joins, say, sees_message, sees_state

# Everything that takes the focus.
CONTROLS: Final = "a, button, input, summary, textarea, [tabindex]"

WIDTHS: Final = (320, 1280)

# Each text on the page, its colour, and the colour of the nearest opaque background behind it.
TEXT_COLOURS: Final = """
() => {
  const background = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" ? background(element.parentElement) : colour;
  };
  return [...document.body.querySelectorAll("*")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => element.checkVisibility())
    .map((element) => [element.textContent, getComputedStyle(element).color, background(element)]);
}
"""


def test_the_keyboard_alone_reaches_and_works_everything(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    tab_to(page, "link", "Open the chat")
    tab_to(page, "textbox", "URL")
    # The fields of an open connection cannot be changed, and Enter in them does nothing.
    page.keyboard.press("Enter")
    tab_to(page, "textbox", "Subprotocol")
    tab_to(page, "button", "Disconnect")
    page.keyboard.press("Enter")
    sees_state(page, "Disconnected")
    page.keyboard.press("Space")
    sees_state(page, "Connected")
    tab_to(page, "button", "Clear")
    tab_to(page, "log", "Messages")
    tab_to(page, "radio", "Text")
    tab_to(page, "textbox", "Message")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")
    expect(page.locator(".received")).to_have_count(1)
    expect(page.locator(".sent .text")).to_have_text("one\ntwo")
    page.keyboard.type("sent by the button")
    tab_to(page, "button", "Send")
    page.keyboard.press("Enter")
    expect(page.locator(".received")).to_have_count(2)
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.press("Tab")
    tab_to(page, "textbox", "Room")
    page.keyboard.type("keyboard")
    tab_to(page, "button", "Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Room keyboard")


def test_the_keyboard_alone_reaches_and_works_the_whole_chat(open_page: OpenPage, room: str) -> None:
    page = open_page(room)
    expect(page.get_by_role("textbox", name="Your name")).to_be_focused()
    page.keyboard.type("Ada")
    page.keyboard.press("Enter")
    sees_state(page, "Connected")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    sees_message(page, "Ada", "typed")
    tab_to(page, "button", "Send")
    page.get_by_role("button", name="Change name").focus()
    page.keyboard.press("Enter")
    name = page.get_by_role("textbox", name="Your name")
    expect(name).to_be_focused()
    page.keyboard.type("Grace")
    tab_to(page, "button", "Join")
    page.keyboard.press("Enter")
    is_here(page, "Grace (you)")

    page.reload()
    sees_state(page, "Connected")
    tab_to(page, "link", "Back to asgi_ws")
    tab_to(page, "button", "Disconnect")
    page.keyboard.press("Enter")
    sees_state(page, "Disconnected")
    expect(page.get_by_role("button", name="Reconnect")).to_be_focused()
    page.keyboard.press("Space")
    sees_state(page, "Connected")
    page.keyboard.press("Tab")
    expect(page.locator("summary")).to_be_focused()
    tab_to(page, "button", "Change name")
    tab_to(page, "log", "Messages")
    tab_to(page, "textbox", "Message")


def tab_to(page: Page, role: Any, name: str) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role(role, name=name)).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_no_page_is_wider_than_the_screen(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")
    say(page, "unbroken" * 100)
    expect(page.locator(".received")).to_have_count(1)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 640})
        fits(page, width, "log")


def test_no_chat_is_wider_than_the_screen(open_page: OpenPage, server: ServerProcess) -> None:
    room = server.url(f"/chat/{'r' * 42}{uuid4().hex[:8]}")
    pages = {width: open_page(room, viewport={"width": width, "height": 640}) for width in WIDTHS}
    for width, page in pages.items():
        joins(page, f"{width}".ljust(32, "w"))
    say(pages[WIDTHS[0]], "unbroken" * 100)
    for width, page in pages.items():
        sees_message(page, f"{WIDTHS[0]}".ljust(32, "w"), "unbroken" * 100)
        fits(page, width, "log", "people")
        expect(page.locator("li.message").last).to_be_in_viewport()


def fits(page: Page, width: int, *ids: str) -> None:
    """Check that neither the page nor these elements scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for each in ids:
        element = page.locator(f"#{each}")
        assert element.evaluate("(element) => element.scrollWidth <= element.clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_the_chat_has_the_contrast_of_wcag_aa(open_page: OpenPage, room: str, scheme: str) -> None:
    page = open_page(room, color_scheme=scheme)
    assert insufficient(page, at_least=5) == []
    joins(page, "Ada")
    other = joins(open_page(room, color_scheme=scheme), "Grace")
    say(page, "text")
    sees_message(other, "Ada", "text")
    is_here(page, "Ada (you)", "Grace")
    for notice in ("", "refused"):
        page.evaluate("(text) => { document.getElementById('notice').textContent = text }", notice)
        assert insufficient(page) == []
    assert insufficient(other) == []
    for state in ("connecting", "joined", "waiting", "closed"):
        page.evaluate("(name) => { document.getElementById('state').dataset.state = name }", state)
        page.evaluate("document.getElementById('retry').textContent = 'Next try in 5 s'")
        assert insufficient(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    sees_state(page, "Connected")
    say(page, "text")
    expect(page.locator(".received")).to_have_count(1)
    assert (luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.5) is (scheme == "light")
    assert insufficient(page) == []

    page.get_by_role("button", name="Disconnect").click()
    sees_state(page, "Disconnected")
    page.get_by_role("button", name="Clear").click()
    page.evaluate("document.getElementById('message-error').textContent = 'refused'")
    assert insufficient(page) == []
    for other in ("connecting", "waiting"):
        page.evaluate("(name) => { document.getElementById('state').dataset.state = name }", other)
        assert insufficient(page) == []


def insufficient(page: Page, at_least: int = 15) -> list[tuple[str, float]]:
    """Return the texts with a contrast below 4.5 (WCAG 2.2, 1.4.3), and their contrast."""
    texts = page.evaluate(TEXT_COLOURS)
    assert len(texts) >= at_least
    contrasts = [(text, contrast(colour, background)) for text, colour, background in texts]
    return [(text, ratio) for text, ratio in contrasts if ratio < 4.5]


def contrast(colour: str, background: str) -> float:
    lighter, darker = sorted((luminance(colour), luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", colour)]
    assert len(channels) == 3, colour
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_control_has_a_name_and_the_page_its_landmarks(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    assert len(named_controls(page)) == 15
    expect(page.get_by_role("heading", level=1)).to_have_text("asgi_ws")
    for region in ("Try a WebSocket", "Served here", "Chat"):
        expect(page.get_by_role("region", name=region)).to_be_visible()


def test_every_control_of_the_chat_has_a_name_and_the_page_its_landmarks(open_page: OpenPage, room: str) -> None:
    page = open_page(room)
    expect(page.get_by_role("region", name="Join the room")).to_be_visible()
    assert len(named_controls(page)) == 3
    joins(page, "Ada")
    is_here(page, "Ada (you)")
    assert len(named_controls(page)) == 7
    for region in ("Messages", re.compile("^Members: 1$")):
        expect(page.get_by_role("region", name=region)).to_be_visible()
    # Screen readers do not read out the history.
    other = open_page(room)
    say(page, "past")
    sees_message(page, "Ada", "past")
    joins(other, "Grace")
    say(page, "new")
    sees_message(other, "Ada", "new")
    assert [item.get_attribute("aria-live") for item in other.locator("li.message").all()] == ["off", None]


def named_controls(page: Page) -> list[str]:
    """Return a line for each focusable element, after checking that it has a name and the page its landmarks."""
    shown = [control for control in page.locator(CONTROLS).all() if control.is_visible()]
    lines = [control.aria_snapshot().splitlines()[0] for control in shown]
    assert [line for line in lines if not re.match(r"""^- '?\w+ "[^"]+\"""", line)] == []
    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    return lines


def test_nothing_moves_for_people_who_asked_for_that(open_page: OpenPage) -> None:
    duration = "getComputedStyle(document.getElementById('send')).transitionDuration"
    assert open_page(reduced_motion="no-preference").evaluate(duration) != "0s"
    assert open_page(reduced_motion="reduce").evaluate(duration) == "0s"
