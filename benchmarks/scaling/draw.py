"""Pictures of the model, as SVG: limits of a machine, machines and broker, latency over load.

The same model gives the same bytes.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Picture

from ..plots import FAINT, GRID, PANEL, STYLE
from .figures import ScalingError
from .model import Model
from .simulate import simulate
from .tables import LOOPS, ROOMS, plan

# Okabe and Ito's colours, which everybody can tell apart, with a dash of their own each for a print in grey.
_LINES: Final = (
    ("#0072b2", "-"),
    ("#d55e00", "--"),
    ("#009e73", "-."),
    ("#cc79a7", ":"),
    ("#56b4e9", (0, (6, 2, 1, 2, 1, 2))),
    ("#6e6e6e", (0, (1, 3))),
)
_STYLE: Final = {**STYLE, "axes.edgecolor": FAINT, "ytick.color": FAINT}
_LOADS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
_PUBLISHES: Final = 2_000


def draw(model: Model, directory: Path) -> list[Path]:
    """Write the pictures into this directory, which is made where it is not there.

    Raises:
        ScalingError: where they cannot be written.
    """
    pictures: dict[str, Callable[[Model], Picture]] = {
        "scaling-limits": _limits,
        "scaling-machines": _machines,
        "scaling-latency": _latency,
    }
    written = []
    for name, make in pictures.items():
        path = directory / f"{name}.svg"
        with mpl.rc_context(_STYLE):
            picture = make(model)
            try:
                directory.mkdir(parents=True, exist_ok=True)
                picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor=PANEL)
            except OSError as error:
                raise ScalingError(f"{path} cannot be written: {error.strerror}") from error
        written.append(path)
    return written


def _empty(title: str, count: int = 1) -> tuple[Picture, list[Axes]]:
    picture = Picture(figsize=(9, 4.4), facecolor=PANEL, layout="constrained")
    FigureCanvasSVG(picture)
    picture.suptitle(title, fontsize=12, weight="bold", x=0.01, ha="left")
    places = [picture.add_subplot(1, count, index + 1) for index in range(count)]
    for place in places:
        place.set_facecolor(PANEL)
        place.grid(color=GRID, linewidth=0.8)
        place.set_axisbelow(True)
        for side in ("top", "right"):
            place.spines[side].set_visible(False)
    return picture, places


def _limits(model: Model) -> Picture:
    """Draw the connections at which each resource of a machine ends, over the messages of a connection."""
    load = model.workload
    picture, (place,) = _empty("Connections on one machine at which each resource ends")
    middle = load.rate or 0.1
    rates = [middle * 10 ** (step / 8) for step in range(-16, 17)]
    ends = []
    for rate in rates:
        varied = model.for_(rate=rate)
        ends.append(varied.limits(varied.machines()))
    for (colour, dash), name in zip(_LINES, ends[0], strict=True):
        place.plot(rates, [end[name] for end in ends], color=colour, linestyle=dash, linewidth=1.8, label=name)
    place.axvline(middle, color=FAINT, linewidth=0.8)
    place.set_xscale("log")
    place.set_yscale("log")
    place.set_xlabel(f"messages a second from each connection, {load.size:,} B each, rooms of {load.room:,}")
    place.set_ylabel("connections")
    place.legend(frameon=False, fontsize=9)
    return picture


def _machines(model: Model) -> Picture:
    """Draw the machines needed and the load of one broker over users, for spread and sticky rooms."""
    picture, (left, right) = _empty("Machines needed, and what one broker has to do", 2)
    users = [round(10 ** (4 + step / 4)) for step in range(13)]
    for (colour, dash), (name, sticky) in zip(
        _LINES, (("rooms at random", False), ("sticky rooms", True)), strict=False
    ):
        grown = [model.for_(connections=each, sticky=sticky) for each in users]
        needed = [each.machines() for each in grown]
        loads = [each.broker(machines).load for each, machines in zip(grown, needed, strict=True)]
        left.plot(users, needed, color=colour, linestyle=dash, label=name)
        right.plot(users, [load or math.nan for load in loads], color=colour, linestyle=dash, label=name)
    target = model.assumptions.target
    right.axhline(target, color=FAINT, linewidth=0.8)
    right.annotate(
        f"{target:.0%}: more machines do not help",
        (users[-1], target),
        (0, -12),
        textcoords="offset points",
        ha="right",
        fontsize=9,
    )
    for place, what in ((left, "machines"), (right, "load of one broker (1 is all it can; assumed)")):
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_xlabel("connections")
        place.set_ylabel(what)
        place.legend(frameon=False, fontsize=9)
    return picture


def _latency(model: Model) -> Picture:
    """Draw the p99 of deliveries over load, for rooms of several sizes."""
    picture, (place,) = _empty(f"p99 of deliveries in simulation, {LOOPS} loops")
    for (colour, dash), members in zip(_LINES, ROOMS, strict=False):
        outcomes = (simulate(plan(model, members, load, _PUBLISHES)) for load in _LOADS)
        values = [outcome.latencies.percentiles(0.99)[0] * 1e3 for outcome in outcomes]
        place.plot(_LOADS, values, color=colour, linestyle=dash, marker=".", label=f"rooms of {members:,}")
    place.set_yscale("log")
    place.set_xlabel("share of the time that the loops are busy")
    place.set_ylabel("ms")
    place.legend(frameon=False, fontsize=9)
    return picture
