"""Run every code block of the README and the documentation, or list the reason why it cannot run."""

import functools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks import attacks
from benchmarks.__main__ import parser as benchmarks_parser
from tests.autobahn.__main__ import parser as autobahn_parser
from tests.hanging import HANGING
from tests.servers.program import PROJECT

from .blocks import ALL_BLOCKS, PAGES, Block, blocks_in, commands
from .write_examples import with_examples

EXAMPLES: Final = PROJECT / "examples"

# Languages whose blocks are run by a test below.
RUN: Final = {"python", "sh"}
# Blocks of other languages, by page and language, and the reason why no test runs them.
NOT_RUN: Final = {
    ("docs/how-to/browser.md", "js"): "tests/demo/pages runs both files in a browser",
    ("docs/how-to/authentication.md", "js"): "one line for a browser; test_examples offers the same subprotocols",
    ("docs/explanation/frames.md", "text"): "a drawing",
    ("docs/how-to/deployment.md", "caddy"): "Caddy is not among what the tests install",
    ("docs/how-to/deployment.md", "nginx"): "tests/uvicorn_protocol/test_behind_nginx.py does, where there is nginx",
    ("docs/how-to/fast.md", "py"): "gunicorn is not among what the tests install",
    ("docs/how-to/testing.md", "text"): "a message; test_the_message_of_a_wait_in_vain_is_as_shown has it",
    ("docs/how-to/testing.md", "toml"): "settings; test_shown_tests runs the page's tests with them",
    ("docs/how-to/origins.md", "text"): "a log line; test_the_log_line_of_a_refused_origin_is_as_shown has it",
    ("docs/tutorial.md", "text"): "output; test_tutorial compares it",
    ("docs/scaling.md", "text"): "formulas; tests/benchmarks/test_scaling.py computes them by hand",
    ("docs/reference/errors.md", "text"): "a drawing; test_the_tree_of_errors_is_drawn_as_it_is reads it",
}
# Import strings that name a project of the reader.
READERS_OWN: Final = {"main:app", "mysite.asgi:application"}


@pytest.mark.parametrize("block", ALL_BLOCKS, ids=str)
def test_a_block_is_run_or_its_language_is_listed_with_a_reason(block: Block) -> None:
    assert block.language in RUN or (block.page, block.language) in NOT_RUN


def test_no_reason_is_listed_for_a_block_that_is_gone() -> None:
    assert set(NOT_RUN) == {(block.page, block.language) for block in ALL_BLOCKS if block.language not in RUN}


# -- Python


PYTHON_PAGES: Final = {
    page: list(blocks) for page, blocks in groupby(blocks_in("python"), key=lambda block: block.page)
}


@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_the_python_blocks_of_a_page_run_one_after_the_other(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.django_settings")
    namespace: dict[str, Any] = {"__name__": f"page:{page}"}
    for block in PYTHON_PAGES[page]:
        if block.example:
            # `test_examples` runs it as a program.
            continue
        # Empty lines before it, so that a traceback has the line number of the page.
        code = compile("\n" * (block.line - 1) + block.text, PROJECT / page, "exec", dont_inherit=True)
        exec(code, namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_page_shows_the_examples_as_they_are(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert with_examples(text) == text


# Syntax of MkDocs: includes, admonitions, tabs, definition lists, references by name, keys, attribute lists.
_MKDOCS: Final = re.compile(
    r"^ *--8<--|^(?:!!!|\?\?\?) |^=== |^:   |\]\[asgi_ws|\+\+\w+\+|^::: |\{: ?[.#]", re.MULTILINE
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_a_page_outside_of_the_reference_reads_well_on_a_forge(page: Path) -> None:
    if page.parent.name != "reference" and page.name != "changelog.md":
        assert _MKDOCS.findall(page.read_text(encoding="utf-8")) == []


# -- the shell


# `test_tutorial` follows the tutorial, command by command.
CONSOLE: Final = [
    pytest.param(block, arguments, id=f"{block} {shlex.join(arguments)}")
    for block in blocks_in("sh")
    if block.page != "docs/tutorial.md"
    for arguments in commands(block)
]


@pytest.mark.parametrize(("block", "arguments"), CONSOLE)
def test_a_command_works_as_shown(block: Block, arguments: list[str]) -> None:
    match arguments:
        case ["pip", "install", *requirements]:
            check = functools.partial(check_requirements, requirements)
        case ["uvicorn", app, *options]:
            check = functools.partial(check_server, "uvicorn", app, options)
        case ["python", "-m", "asgi_ws", *options]:
            app = options.pop(0) if options and not options[0].startswith("-") else "asgi_ws:app"
            check = functools.partial(check_server, "asgi_ws", app, options)
        case ["make", target]:
            check = functools.partial(check_target, target)
        case ["python", "-m", "benchmarks", *options]:
            # The tests of the command run it. This checks only the spelling.
            check = functools.partial(benchmarks_parser().parse_args, options)
        case ["python", "-m", "benchmarks.write_pages"]:
            # test_benchmark_pages runs it.
            return
        case ["python", "-m", "benchmarks.attacks", *options]:
            check = functools.partial(attacks.parser().parse_args, options)
        case ["python", "-m", "tests.autobahn", *options]:
            check = functools.partial(autobahn_parser().parse_args, options)
        case _:
            raise AssertionError(f"{block}: no check for {shlex.join(arguments)!r}")
    check()


def check_requirements(requirements: list[str]) -> None:
    """Check that a page installs the checkout with extras that exist, or packages that the tests use."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in requirements:
        name, _, extras = requirement.rstrip("]").partition("[")
        if name == ".":
            assert {extra for extra in extras.split(",") if extra} <= set(project["project"]["optional-dependencies"])
        else:
            assert any(str(known).startswith(name) for known in project["dependency-groups"]["test"])


@functools.cache
def help_of(module: str) -> str:
    command = [sys.executable, "-m", module, "--help"]
    environment = {**os.environ, "COLUMNS": "200"}
    run = subprocess.run(command, capture_output=True, text=True, timeout=HANGING, check=True, env=environment)
    return run.stdout


def check_server(module: str, app: str, options: list[str]) -> None:
    """Check that the program knows every option, and that the application can be imported."""
    for option in (option for option in options if option.startswith("-")):
        assert re.search(rf"(^|[ /]){re.escape(option)}\b", help_of(module), re.MULTILINE), option
    if app not in READERS_OWN:
        module_name, _, name = app.partition(":")
        code = f"import importlib; assert callable(importlib.import_module({module_name!r}).{name})"
        subprocess.run([sys.executable, "-c", code], cwd=EXAMPLES, timeout=HANGING, check=True)


def check_target(target: str) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{re.escape(target)}:.*## ", makefile, re.MULTILINE)
