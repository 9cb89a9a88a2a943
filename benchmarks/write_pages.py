"""Write the tables of the committed results into the pages: `python -m benchmarks.write_pages`."""

from pathlib import Path
from typing import Final

from .pages import fill
from .report import markdown_circumstances, scenarios_of
from .results import Results
from .summary import FAST, FAST_SHORT, markdown_scenario, markdown_summary

ROOT: Final = Path(__file__).parents[1]
RESULTS: Final = Path(__file__).parent / "results"
# The prefix that the places of a file's results have on the pages.
RUNS: Final = {
    "reference.json": "",
    "class.json": "class-",
    "crowd.json": "crowds-",
    "inprocess-3.12.json": "python312-",
    "inprocess-3.13.json": "python313-",
}
PAGES: Final = (
    "README.md",
    "docs/how-to/fast.md",
    *(f"docs/benchmarks/{name}.md" for name in ("index", "messages", "connections", "rooms")),
)


def parts_of(results: Results, prefix: str = "") -> dict[str, str]:
    """Return the parts of a page by name: the tables of each scenario, the summaries, and "circumstances"."""
    parts = {scenario: markdown_scenario(results, scenario) for scenario in scenarios_of(results)}
    parts |= {"summary": markdown_summary(results), "circumstances": markdown_circumstances(results)}
    parts |= {"fast": markdown_summary(results, FAST), "fast-short": markdown_summary(results, FAST_SHORT)}
    return {f"{prefix}{name}": part for name, part in parts.items()}


def write(root: Path) -> None:
    """Fill the pages below this folder.

    Raises:
        PageError: a page cannot be read or written, or has a place that no run fills.
        ResultsError: a file does not hold results.
    """
    parts: dict[str, str] = {}
    for file, prefix in RUNS.items():
        parts |= parts_of(Results.load(RESULTS / file), prefix)
    for page in PAGES:
        fill(root / page, parts)


if __name__ == "__main__":
    write(ROOT)
