"""What a visitor of the page does and sees, through Playwright."""

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
