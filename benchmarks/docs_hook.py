"""Draw the plots that the pages show from the committed results, before MkDocs looks for them."""

import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError


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
