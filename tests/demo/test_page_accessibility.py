"""The page for everyone: keyboard, names, contrast, narrow screens, reduced motion; in a real Chromium."""

import re
from typing import Any, Final

import pytest
from playwright.sync_api import Page, expect

from tests.demo.visit import OpenPage, say, sees_state

# Everything that takes the focus.
CONTROLS: Final = "a, button, input, [tabindex]"

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

    def tab_to(role: Any, name: str) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_role(role, name=name)).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    tab_to("button", "Disconnect")
    page.keyboard.press("Enter")
    sees_state(page, "Closed (code 1000)")
    page.keyboard.press("Space")
    sees_state(page, "Connected")
    tab_to("log", "Messages")
    tab_to("textbox", "Message")
    page.keyboard.type("typed")
    page.keyboard.press("Enter")
    expect(page.locator(".received")).to_have_count(1)
    page.keyboard.type("sent by the button")
    tab_to("button", "Send")
    page.keyboard.press("Enter")
    expect(page.locator(".received")).to_have_count(2)
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.press("Tab")
    tab_to("link", "/hello")
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_text("Hello, World!")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_no_page_is_wider_than_the_screen(open_page: OpenPage, scheme: str, width: int) -> None:
    page = open_page(viewport={"width": width, "height": 640}, color_scheme=scheme)
    sees_state(page, "Connected")
    say(page, "unbroken" * 100)
    expect(page.locator(".received")).to_have_count(1)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.getElementById('log').scrollWidth <= document.getElementById('log').clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(open_page: OpenPage, scheme: str) -> None:
    page = open_page(color_scheme=scheme)
    sees_state(page, "Connected")
    say(page, "text")
    expect(page.locator(".received")).to_have_count(1)
    assert (luminance(page.evaluate("getComputedStyle(document.body).backgroundColor")) > 0.5) is (scheme == "light")
    assert insufficient(page) == []

    page.get_by_role("button", name="Disconnect").click()
    sees_state(page, "Closed (code 1000)")
    assert insufficient(page) == []
    for other in ("connecting", "closing", "lost", "failed"):
        page.evaluate("(name) => { document.getElementById('state').dataset.state = name }", other)
        assert insufficient(page) == []


def insufficient(page: Page) -> list[tuple[str, float]]:
    """The texts with a contrast below 4.5 (WCAG 2.2, 1.4.3), and their contrast."""
    texts = page.evaluate(TEXT_COLOURS)
    assert len(texts) > 20
    contrasts = [(text, contrast(colour, background)) for text, colour, background in texts]
    return [(text, ratio) for text, ratio in contrasts if ratio < 4.5]


def contrast(colour: str, background: str) -> float:
    lighter, darker = sorted((luminance(colour), luminance(background)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of `rgb(r, g, b)` (WCAG 2.2)."""
    channels = [int(channel) / 255 for channel in re.findall(r"\d+", colour)]
    assert len(channels) == 3, colour
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_control_has_a_name_and_the_page_its_landmarks(open_page: OpenPage) -> None:
    page = open_page()
    sees_state(page, "Connected")

    controls = page.locator(CONTROLS)
    snapshots = [control.aria_snapshot().splitlines()[0] for control in controls.all()]
    assert len(snapshots) == 5
    assert [line for line in snapshots if not re.match(r'^- \w+ "[^"]+"', line)] == []

    assert page.locator("html").get_attribute("lang") == "en"
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text("asgi_ws")
    expect(page.get_by_role("region", name="Try the WebSocket")).to_be_visible()
    expect(page.get_by_role("region", name="What is served here")).to_be_visible()


def test_nothing_moves_for_people_who_asked_for_that(open_page: OpenPage) -> None:
    duration = "getComputedStyle(document.getElementById('send')).transitionDuration"
    assert open_page(reduced_motion="no-preference").evaluate(duration) != "0s"
    assert open_page(reduced_motion="reduce").evaluate(duration) == "0s"
