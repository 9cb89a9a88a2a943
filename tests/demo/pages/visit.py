"""Actions of a visitor and checks of the page, through Playwright."""

import re
from collections.abc import Callable
from typing import TypeAlias

from playwright.sync_api import Page, expect

# Takes a URL, that of the page by default, and options of the browser context.
OpenPage: TypeAlias = Callable[..., Page]


def sees_state(page: Page, text: str | re.Pattern[str]) -> None:
    """Wait until the page shows this state of its connection."""
    expect(page.get_by_role("status")).to_have_text(text)


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.get_by_role("button", name="Send").click()


def submit_many(page: Page, count: int) -> None:
    """Send "message 1" and so on, faster than anybody types."""
    page.evaluate(
        """(count) => {
          const form = document.getElementById("form");
          for (let number = 1; number <= count; number += 1) {
            form.elements.message.value = `message ${number}`;
            form.requestSubmit();
          }
        }""",
        count,
    )


def joins(page: Page, name: str) -> Page:
    """Join the chat room of this page, and wait until that has happened."""
    page.get_by_role("textbox", name="Your name").fill(name)
    page.get_by_role("button", name="Join").click()
    sees_state(page, "Connected")
    return page


def is_here(page: Page, *names: str) -> None:
    """Wait until the page of a chat room shows these people, in this order."""
    expect(page.get_by_role("list", name="Members of this room").get_by_role("listitem")).to_have_text(list(names))
    expect(page.locator("#count")).to_have_text(str(len(names)))


def sees_message(page: Page, name: str, text: str) -> None:
    """Wait until the last message in a chat room is this one."""
    message = page.get_by_role("log", name="Messages").locator("li.message").last
    expect(message.locator(".who")).to_have_text(name)
    expect(message.locator(".text")).to_have_text(text)
