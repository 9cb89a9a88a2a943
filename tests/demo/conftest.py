"""A real Chromium, and a real server with the default application."""

import shutil
from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.demo.visit import OpenPage
from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS

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


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with ServerProcess(SERVERS[0], "asgi_ws:app") as process:
        yield process


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no browser found: install the Debian package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: ServerProcess) -> Iterator[OpenPage]:
    """Opens the page in a browser context of its own, made with the given options."""
    contexts = []

    def open_at(url: str | None = None, **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.goto(url or server.url("/"))
        return page

    yield open_at
    for context in contexts:
        context.close()


@pytest.fixture
def room(server: ServerProcess) -> str:
    """The address of a room for each test."""
    return server.url(f"/chat/{uuid4().hex}")
