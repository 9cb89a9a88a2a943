"""Draw the plots from the committed results, and put them where a page has `<!-- plot: FILE TEXT -->`.

On a forge, where nothing is drawn, the comment does not show.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError

_PLOT: Final = re.compile(r"<!-- plot: (?P<file>\S+) (?P<text>.*?) -->")


def on_pre_build(config: MkDocsConfig) -> None:
    """Draw what is missing, or older than the results."""
    docs = Path(config.docs_dir)
    results = docs.parent / "benchmarks" / "results" / "reference.json"
    plots = docs / "plots"
    if plots.is_dir() and min(path.stat().st_mtime for path in plots.iterdir()) >= results.stat().st_mtime:
        return
    for command in ("show", "scaling"):
        drawing = [sys.executable, "-m", "benchmarks", command, str(results), "--plot", str(plots)]
        ended = subprocess.run(drawing, cwd=docs.parent, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise PluginError(f"failed to draw the plots: {ended.stderr}")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Show the plots of a page."""
    return _PLOT.sub(r"![\g<text>](\g<file>)", markdown)
