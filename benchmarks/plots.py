"""Pictures of a run for a README or the docs, as SVG: bars with the range of the repetitions, latencies as dots.

The same results give the same bytes. The panel is light and opaque, so that text is read on dark pages too.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Picture
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from .report import circumstances, contestants_of, metrics_of, number, quantity, scenarios_of, spread
from .results import METRICS, Figure, Results, ResultsError, Spread

# Inches of 72 points: at 700 pixels a point is a pixel and a bit.
WIDTH: Final = 9.0
ROW: Final = 0.27
CASE: Final = 0.48
HEAD: Final = 0.68
AXIS: Final = 0.45
FOOT: Final = 0.30
LINE: Final = 0.15
MARGIN: Final = 0.2
LETTER: Final = 0.078
# More cases than these are drawn in further pictures.
CASES: Final = 4
LONGEST_NAME: Final = 26

TIMES: Final = "\N{MULTIPLICATION SIGN}"
PANEL: Final = "#fafaf8"
TEXT: Final = "#222222"
FAINT: Final = "#5a5a5a"
GRID: Final = "#dddddd"
# Of Okabe and Ito's colours, which everybody can tell apart: the full one, and its tint.
OURS: Final = ("#0072b2", "#80bce0")
BASE: Final = ("#d55e00", "#f0b48a")
OTHER: Final = ("#6e6e6e", "#bdbdbd")
PERCENTILES: Final[Mapping[str, str]] = {"p50": "o", "p99": "D", "p99.9": "s"}
BARS: Final = ("cpu", "memory", "instructions", "delivered", "memory_peak")
_SUFFIXES: Final = {**{metric: metric for metric in BARS}, "memory_peak": "memory"}
_TITLES: Final = {
    "cpu": "server CPU in µs, user + system",
    "memory": "memory in KiB",
    "instructions": "for each message",
    "delivered": "delivered to those who read, in %",
    "memory_peak": "peak memory of the server in MiB",
}
STYLE: Final[dict[Any, Any]] = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "xtick.color": FAINT,
    "ytick.color": TEXT,
}


@dataclass(frozen=True)
class _Page:
    """One picture: some cases of a scenario, one under the other."""

    results: Results
    scenario: str
    cases: Sequence[str]
    title: str
    # The text below the bars: place and date of the measurement.
    circumstances: Sequence[str] = ()

    def colours(self, contestant: str) -> tuple[str, str]:
        if contestant.startswith("asgi_ws"):
            return OURS
        return BASE if contestant in self.results.bases.get(self.scenario, [])[:1] else OTHER

    def sorted(self, case: str, metric: str) -> list[Figure]:
        """Return the figures, the best first, equal ones in the order of the tables."""
        contestants = contestants_of(self.results, self.scenario, case)
        figures = (self.results.figure(self.scenario, case, contestant, metric) for contestant in contestants)
        sign = 1 if METRICS[metric].better == "less" else -1
        return sorted((figure for figure in figures if figure), key=lambda figure: sign * figure.median)


def draw(results: Results, directory: Path) -> list[Path]:
    """Write the pictures of all scenarios into this directory, which is made where it is not there.

    Raises:
        ResultsError: where they cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [path for scenario in scenarios_of(results) for path in _draw_scenario(results, scenario, directory)]
    except OSError as error:
        raise ResultsError(f"{directory}: the plots cannot be written: {error.strerror}") from error


def draw_case(results: Results, case: str, path: Path) -> None:
    """Write a small picture of the CPU of one case into a file, with its text as text.

    Raises:
        ResultsError: when the results have no such case, or the file cannot be written.
    """
    scenario = next((each for each in scenarios_of(results) if "cpu" in metrics_of(results, each, case)), None)
    if scenario is None:
        raise ResultsError(f"{case!r}: the results have no CPU of a case of this name")
    page = _Page(results, scenario, [case], f"{scenario}: {_TITLES['cpu']}, less is better")
    try:
        with mpl.rc_context({**STYLE, "svg.fonttype": "none"}):
            _save(_bars(page, "cpu"), path)
    except OSError as error:
        raise ResultsError(f"{path}: the picture cannot be written: {error.strerror}") from error


def _save(picture: Picture, path: Path) -> None:
    picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor=PANEL)


def _draw_scenario(results: Results, scenario: str, directory: Path) -> list[Path]:
    """Draw a picture for each kind of figure. The first one is named after the scenario."""
    measured = {case: metrics_of(results, scenario, case) for case in results.cases(scenario)}
    written: list[Path] = []
    for metric in (*BARS, "p50"):
        cases = [case for case, metrics in measured.items() if metric in metrics]
        kind = _SUFFIXES.get(metric, "latency")
        name = scenario if metric != "p50" and not written else f"{scenario}-{kind}"
        pages = [cases[start : start + CASES] for start in range(0, len(cases), CASES)]
        for index, some in enumerate(pages):
            part = f" ({index + 1} of {len(pages)})" if len(pages) > 1 else ""
            what = _TITLES.get(metric, "latency in ms")
            title = f"{scenario}: {what}, {METRICS[metric].better} is better{part}"
            page = _Page(results, scenario, some, title, circumstances(results))
            path = directory / f"{name}{f'-{index + 1}' if index else ''}.svg"
            with mpl.rc_context(STYLE):
                _save(_latencies(page) if metric == "p50" else _bars(page, metric), path)
            written.append(path)
    return written


def _frame(page: _Page, rows: Sequence[Sequence[Figure]], legend: Sequence[Patch | Line2D]) -> list[Axes]:
    """Return an empty picture with a place for each case, in inches from its top."""
    names = [_label(figure.contestant) for figures in rows for figure in figures]
    left = MARGIN + 0.1 + LETTER * max(len(line) for name in names for line in name.split("\n"))
    said = [line for text in page.circumstances for line in textwrap.wrap(text, 118)]
    heights = [ROW * len(figures) for figures in rows]
    height = HEAD + sum(heights) + (CASE + AXIS) * len(rows) - 0.15 + FOOT + LINE * len(said)
    picture = Picture(figsize=(WIDTH, height), facecolor=PANEL)
    FigureCanvasSVG(picture)
    picture.text(MARGIN / WIDTH, 1 - 0.2 / height, page.title, fontsize=13, weight="bold", va="top")
    picture.legend(
        handles=legend,
        loc="upper left",
        bbox_to_anchor=((MARGIN - 0.05) / WIDTH, 1 - 0.45 / height),
        ncols=len(legend),
        frameon=False,
        fontsize=9,
        borderpad=0.2,
        handletextpad=0.5,
        columnspacing=1.4,
    )
    places: list[Axes] = []
    top = HEAD
    for case, tall in zip(page.cases, heights, strict=True):
        picture.text(MARGIN / WIDTH, 1 - (top + CASE - 0.12) / height, case, fontsize=10, weight="bold", va="bottom")
        top += CASE + tall
        place = (left / WIDTH, 1 - top / height, (WIDTH - left - MARGIN) / WIDTH, tall / height)
        places.append(picture.add_axes(place))
        top += AXIS
    for index, line in enumerate(reversed(said)):
        picture.text(MARGIN / WIDTH, (0.12 + LINE * index) / height, line, fontsize=8, color=FAINT, va="bottom")
    return places


def _label(name: str) -> str:
    return "\n".join(textwrap.wrap(name, LONGEST_NAME)) or name


def _dress(place: Axes, figures: Sequence[Figure]) -> None:
    place.set_facecolor(PANEL)
    place.set_yticks(range(len(figures)), [_label(figure.contestant) for figure in figures])
    for label, figure in zip(place.get_yticklabels(), figures, strict=True):
        label.set_fontsize(8.5 if len(figure.contestant) > LONGEST_NAME else 10)
        label.set_linespacing(0.95)
        if figure.contestant.startswith("asgi_ws"):
            label.set_fontweight("bold")
    place.set_ylim(len(figures) - 0.45, -0.55)
    place.tick_params(length=0, labelsize=9, axis="x")
    place.tick_params(length=0, axis="y")
    place.grid(axis="x", color=GRID, linewidth=0.8)
    place.set_axisbelow(True)
    for side in place.spines.values():
        side.set_visible(False)


def _kinds(page: _Page, rows: Sequence[Sequence[Figure]]) -> list[Patch | Line2D]:
    """Return the part of the legend that names the colours."""
    present = {page.colours(figure.contestant) for figures in rows for figure in figures}
    base = next(iter(page.results.bases.get(page.scenario, [])), "")
    texts = {OURS: "asgi_ws", BASE: f"{base} (the base, 1{TIMES})", OTHER: "others"}
    return [Patch(color=colour[0], label=text) for colour, text in texts.items() if colour in present]


def _bars(page: _Page, metric: str) -> Picture:
    rows = [page.sorted(case, metric) for case in page.cases]
    splits = [_split(page, figure) for figures in rows for figure in figures if metric == "cpu"]
    legend = _kinds(page, rows)
    if any(splits):
        legend += [
            Patch(color=OTHER[0], label="dark: user"),
            Patch(color=OTHER[1], label="light: system"),
        ]
    if any(len(figure.samples) > 1 for figures in rows for figure in figures):
        legend.append(Line2D([], [], color=TEXT, marker="|", markersize=6, label="range of the repetitions"))
    places = _frame(page, rows, legend)
    # Nothing at all has an axis too.
    ends = [max(max(figure.samples) for figure in figures) or 1.0 for figures in rows]
    # Cases that are alike share their scale, so that they can be compared by eye.
    shared = max(ends) <= 5 * min(ends)
    for place, figures, end in zip(places, rows, ends, strict=True):
        _dress(place, figures)
        place.set_xlim(0, (max(ends) if shared else end) * 1.28)
        place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        for row, figure in enumerate(figures):
            _bar(page, place, row, figure)
    return _picture(places)


def _bar(page: _Page, place: Axes, row: int, figure: Figure) -> None:
    """Draw the bar of a median, in parts if they are known, with range, figure and ratio."""
    full, tint = page.colours(figure.contestant)
    middle, low, high = Spread.of(figure.samples)
    user = _split(page, figure) if figure.metric == "cpu" else None
    place.barh(row, middle if user is None else middle * user, height=0.68, color=full)
    if user is not None:
        place.barh(row, middle * (1 - user), left=middle * user, height=0.68, color=tint)
    if low < high:
        place.errorbar(
            middle, row, xerr=[[middle - low], [high - middle]], color=TEXT, capsize=3, elinewidth=1.1, capthick=1.1
        )
    place.annotate(
        f"{quantity(figure.metric, middle)}{_against(page, figure)}",
        (high, row),
        (6, 0),
        textcoords="offset points",
        va="center",
        size=9,
    )


def _split(page: _Page, figure: Figure) -> float | None:
    """Return the share of user time in the CPU time, by the medians of both."""
    user, system = (
        page.results.figure(page.scenario, figure.case, figure.contestant, metric)
        for metric in ("cpu_user", "cpu_system")
    )
    if user is None or system is None or user.median + system.median == 0:
        return None
    return user.median / (user.median + system.median)


def _against(page: _Page, figure: Figure) -> str:
    bases = page.results.bases.get(page.scenario, [])[:1]
    ratio = page.results.ratio(figure, bases[0]) if bases else None
    if ratio is None or figure.contestant in bases:
        return ""
    return f"   {spread(Spread(ratio.middle, ratio.middle, ratio.middle))}{TIMES}"


def _latencies(page: _Page) -> Picture:
    """Draw percentiles side by side on a logarithmic axis, ordered by the highest that all have."""
    rows = [page.sorted(case, "p99") or page.sorted(case, "p50") for case in page.cases]
    legend = _kinds(page, rows)
    legend += [
        Line2D([], [], color=FAINT, linestyle="", marker=marker, markersize=6, label=name)
        for name, marker in PERCENTILES.items()
    ]
    places = _frame(page, rows, legend)
    every = [
        sample
        for figure in page.results.figures
        if figure.scenario == page.scenario and figure.case in page.cases and figure.metric in PERCENTILES
        for sample in figure.samples
        if sample > 0
    ] or [1.0]
    for place, figures in zip(places, rows, strict=True):
        _dress(place, figures)
        place.set_xscale("log")
        # A third more of the axis, in factors, is for the texts.
        place.set_xlim(min(every) / 1.2, max(every) * (max(every) / min(every)) ** 0.38 * 1.1)
        place.xaxis.set_major_locator(FixedLocator(_ticks(min(every), max(every))))
        place.xaxis.set_minor_locator(NullLocator())
        place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        for row, figure in enumerate(figures):
            _dots(page, place, row, figure)
    return _picture(places)


def _ticks(low: float, high: float) -> list[float]:
    """Set ticks at powers of ten, and at 2 and 5 times those where there is space."""
    steps = (1, 2, 5) if high / low < 1000 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]


def _dots(page: _Page, place: Axes, row: int, figure: Figure) -> None:
    full, _ = page.colours(figure.contestant)
    of_one = [page.results.figure(page.scenario, figure.case, figure.contestant, metric) for metric in PERCENTILES]
    found = [each for each in of_one if each is not None and each.median > 0]
    if not found:
        return
    place.plot([each.median for each in found], [row] * len(found), color=full, linewidth=1.2, alpha=0.45)
    for each in found:
        middle, low, high = Spread.of(each.samples)
        place.plot([max(low, middle / 1e3), high], [row, row], color=full, linewidth=4, alpha=0.3)
        place.plot(middle, row, color=full, marker=PERCENTILES[each.metric], markersize=6.5, linestyle="")
    end = max(max(each.samples) for each in found)
    texts = " / ".join(number(each.median) for each in found)
    place.annotate(texts, (end, row), (8, 0), textcoords="offset points", va="center", size=9)


def _picture(places: Sequence[Axes]) -> Picture:
    picture = places[0].get_figure(root=True)
    if picture is None:
        raise RuntimeError("an axis outlived its picture")
    return picture
