"""The documentation as `make docs` builds it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hanging import HANGING
from tests.servers.program import PROJECT

# It imports the whole package, and a busy machine takes its time.


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    run = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=PROJECT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=HANGING,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_the_site_builds_without_a_warning(site: Path) -> None:
    assert (site / "index.html").is_file()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = [page.read_text(encoding="utf-8") for page in site.rglob("*.html")]
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]* src=\"?(https?:)?//|<link[^>]* rel=\"?stylesheet[^>]*(https?:)?//"
    )
    assert pages
    assert not [match[0] for page in pages for match in loaded.finditer(page)]


def test_the_page_about_the_lifecycle_shows_the_table_of_the_contract_suite(site: Path) -> None:
    page = (site / "explanation" / "lifecycle" / "index.html").read_text(encoding="utf-8")
    section = page.partition('id="what-each-server-does"')[2].partition("</article>")[0]
    assert "<table>" in section
    assert all(server in section for server in ("uvicorn", "hypercorn", "daphne", "granian"))


def test_every_link_of_the_readme_into_the_checkout_leads_somewhere() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    links = [link.partition("#") for link in re.findall(r"\]\(((?!http)[^)]+)\)", text)]
    assert len(links) > 5
    for path, _, anchor in links:
        page = (PROJECT / (path or "README.md")).read_text(encoding="utf-8")
        headings = [line.lstrip("# ").lower().replace(" ", "-") for line in page.splitlines() if line[:1] == "#"]
        assert not anchor or anchor in headings, f"{path}#{anchor}"
