"""A real Chromium, and a real server with the default application."""

import shutil
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.hanging import HANGING
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

from .visit import OpenPage

CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS: Final = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="package")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as process:
        yield process


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Not of the session: an event loop of its own runs as long as it does, beside which no asynchronous test can.
    if CHROMIUM is None:
        pytest.skip("no browser found: install the Debian package chromium")
    expect.set_options(timeout=HANGING * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: ServerProcess) -> Iterator[OpenPage]:
    """Return a function that opens a page in its own browser context, with the given options."""
    contexts = []

    def open_at(url: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**options)
        context.set_default_timeout(HANGING * 1000)
        contexts.append(context)
        page = context.new_page()
        page.goto(url or server.url("/"))
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture
def room(server: ServerProcess) -> str:
    """Return the URL of a room that no other test uses."""
    return server.url(f"/chat/{uuid4().hex}")
