"""The model as tables of text, the same for the terminal and for the page."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..report import number
from ..results import Results
from .figures import OpenLoop
from .inputs import Assumptions, Workload
from .model import Model
from .simulate import Outcome, Plan, rate_for, simulate

ROOMS = (10, 100, 1_000, 10_000)
LOADS = (0.2, 0.4, 0.6, 0.8, 0.9)
LOOPS = 4


@dataclass(frozen=True)
class Table:
    """Cells of text.

    Attributes:
        name: of the place on the page that it is written to.
        title: above it on the terminal; on the page the heading says it.
        columns: the first of text, the others of numbers.
        rows: as many cells each as there are columns.
        caption: what has to be said of it.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


def all_tables(model: Model, results: Results, file: str, loops: Sequence[OpenLoop]) -> list[Table]:
    """Return every table, in the order of the page."""
    machines = model.machines()
    return [
        measured(model, results, file),
        _given("workload", "Workload", model.workload),
        _given("assumptions", "Assumptions: not measured", model.assumptions),
        cpu(model, machines),
        limits(model, machines),
        growth(model),
        remedies(model),
        storm(model, machines),
        room_times(model),
        simulated(model),
        *([held_against(model, loops)] if loops else []),
    ]


def measured(model: Model, results: Results, file: str) -> Table:
    """Return the figures taken from the results."""
    rows = [
        [each.title, each.contestant, each.case, f"{number(each.value)} {each.unit}"] for each in model.costs.sources
    ]
    machine = ", ".join(results.machine.values())
    caption = f"From {file}, {results.when[:10]}, {machine}. Of several cases of one size the dearest."
    return Table("measured", "Measured", ["figure", "contestant", "case", "value"], rows, caption)


def _given(name: str, title: str, values: Workload | Assumptions) -> Table:
    rows = []
    for each in dataclasses.fields(values):
        value = getattr(values, each.name)
        shown = ("yes" if value else "no") if isinstance(value, bool) else f"{value:,.10g}"
        mark = "" if value == each.default else " (given)"
        rows.append([each.metadata["text"], f"`--{each.name.replace('_', '-')}`", shown + mark])
    return Table(name, title, ["what", "option", "value"], rows)


def cpu(model: Model, machines: int) -> Table:
    """Return the CPU by cause, of all machines and of one."""
    usage = model.usage(machines)
    total = usage.cpu_total
    rows = [
        [cause, number(value), number(value / machines), f"{value / total:.1%}"] for cause, value in usage.cpu.items()
    ]
    rows.append(["all", number(total), number(total / machines), "100.0%"])
    caption = f"Seconds of CPU a second. {_assumed('broker and deflate')}"
    return Table("cpu", f"CPU on {_machines(machines)}", ["cause", "in all", "a machine", "share"], rows, caption)


def limits(model: Model, machines: int) -> Table:
    """Return the resources that a machine uses, and the connections at which each ends."""
    given, usage = model.assumptions, model.usage(machines)
    network, bits = usage.network, 8 / machines / 1e6
    memory = usage.memory / machines + given.cores * given.process_mib * (1 << 20)
    packets = (network.packets_in + network.packets_out) / machines
    used = {
        "CPU": f"{number(usage.cpu_total / machines)} of {given.cores} cores",
        "memory": f"{number(memory / (1 << 30))} of {given.memory_gib:g} GiB",
        "network in": f"{number(network.bytes_in * bits)} Mbit/s",
        "network out": f"{number(network.bytes_out * bits)} Mbit/s",
        "packets": f"{number(packets)} a second",
        "file descriptors": f"{number(usage.descriptors / given.cores / machines)} a process",
    }
    shares, ends = model.shares(machines), model.limits(machines)
    first, _ = model.first_limit(machines)
    rows = [
        [name + (" (first)" if name == first else ""), used[name], f"{shares[name]:.1%}", _connections(ends[name])]
        for name in used
    ]
    each = model.workload.connections / machines
    caption = (
        f"{_machines(machines)}, {each:,.0f} connections on each. The share is of what may be used: "
        f"{given.target:.0%} of CPU and network, {given.memory_target:.0%} of memory and descriptors."
    )
    columns = ["resource", "a machine uses", "share", "connections at its end"]
    return Table("limits", "Which resource ends first", columns, rows, caption)


def growth(model: Model) -> Table:
    """Return machines and brokers as users grow."""
    rows = []
    for power in range(4, 8):
        grown = model.for_(connections=10**power, room=min(model.workload.room, 10**power))
        machines = grown.machines()
        broker = grown.broker(machines)
        rows.append(
            [
                f"{10**power:,}",
                f"{machines:,}",
                grown.first_limit(machines)[0],
                number(broker.publishes),
                number(broker.deliveries),
                f"{broker.load:.0%}",
                f"{grown.brokers(machines):,}",
            ]
        )
    bound = model.broker_bound()
    caption = (
        "One broker is enough for any number of connections up to 1,000,000,000."
        if bound is None
        else f"From {bound:,} connections on one broker is not enough, and more machines do not help."
    )
    columns = [
        *("connections", "machines", "ends first", "publishes a second", "to processes a second"),
        *("load of one broker", "brokers needed"),
    ]
    return Table("growth", "Machines and brokers", columns, rows, f"{caption} {_assumed('broker')}")


def remedies(model: Model) -> Table:
    """Return the same workload with one change at a time."""
    load = model.workload
    variants: list[tuple[str, dict[str, Any]]] = [
        ("as it is", {}),
        ("sticky rooms", {"sticky": True}),
        ("10 messages in one publish and write", {"batch": 10}),
        ("half of the messages replaced by later ones", {"keep": load.keep / 2}),
        ("messages half as large", {"size": max(1, load.size // 2)}),
        ("rooms half as large", {"room": max(1, load.room // 2)}),
    ]
    if model.costs.memory_deflate is not None:
        variants.append(("no deflate", {"deflate": False}) if load.deflate else ("deflate", {"deflate": True}))
    rows = [_remedy(name, model.for_(**changes)) for name, changes in variants]
    saves = "Joined messages cost what a burst did." if model.costs.burst else "No gain in CPU is counted for batches."
    columns = ["change", "machines", "ends first", "CPU, cores", "out, Mbit/s", "to processes a second", "brokers"]
    return Table("remedies", "What helps", columns, rows, f"{saves} {_assumed('broker and deflate')}")


def _remedy(name: str, model: Model) -> list[str]:
    machines = model.machines()
    usage, broker = model.usage(machines), model.broker(machines)
    return [
        name,
        f"{machines:,}",
        model.first_limit(machines)[0],
        number(usage.cpu_total),
        number(usage.network.bytes_out * 8 / 1e6),
        number(broker.deliveries),
        f"{model.brokers(machines):,}",
    ]


def storm(model: Model, machines: int) -> Table:
    """Everybody comes back at once."""
    seconds = model.workload.storm
    cores = machines * model.assumptions.cores
    arrivals = model.workload.connections / seconds
    least = model.storm_least(machines)
    rows = [
        ["connections that come back, a second, in all", number(arrivals)],
        ["the same for each process", number(arrivals / cores)],
        ["share of all CPU that their handshakes take", f"{model.storm_share(machines):.0%}"],
        ["share of all CPU that the usual work takes", f"{model.usage(machines).cpu_total / cores:.0%}"],
        ["fewest seconds in which all can be back", "never" if math.isinf(least) else number(least)],
    ]
    title = f"All connections come back within {seconds:g} s on {_machines(machines)}"
    return Table("storm", title, ["what", "value"], rows)


def room_times(model: Model) -> Table:
    """Return the time for which one message occupies an event loop."""
    machines = model.machines()
    processes = machines * model.assumptions.cores
    rows = []
    for members in ROOMS:
        spread = model.for_(room=members, sticky=False)
        together = model.for_(room=members, sticky=True)
        rows.append(
            [
                f"{members:,}",
                f"{number(spread.reached(processes))} of {processes:,}",
                f"{number(spread.room_seconds(processes) * 1e3)} ms",
                f"{number(together.room_seconds(processes) * 1e3)} ms",
            ]
        )
    columns = ["members", "processes reached", "each is busy for", "on one process"]
    return Table("rooms", "One message to one room", columns, rows)


def plan(model: Model, members: int, load: float, publishes: int = 4_000) -> Plan:
    """Return a plan of rooms of one size on a few loops, busy for this share of the time."""
    given, delivery = model.assumptions, model.delivery.at(model.workload.size) * 1e-6
    wanted = Plan(
        processes=LOOPS,
        # So many that chance spreads them evenly, or one loop would be full long before the others.
        rooms=max(20, 20_000 // members),
        members=members,
        rate=1.0,
        delivery=delivery,
        fixed=given.app_event_us * 1e-6,
        broker_publish=given.broker_publish_us * 1e-6,
        broker_delivery=given.broker_delivery_us * 1e-6,
        publishes=publishes,
    )
    return dataclasses.replace(wanted, rate=rate_for(load, wanted, model.for_(room=members).reached(LOOPS)))


def simulated(model: Model) -> Table:
    """Return the p99 of deliveries over load and size of the room."""
    rows = []
    for members in ROOMS:
        outcomes = [simulate(plan(model, members, load)) for load in LOADS]
        rows.append([f"{members:,}", *(_p50_p99(outcome) for outcome in outcomes)])
    bursts = [simulate(dataclasses.replace(plan(model, 100, load), arrivals="bursty")) for load in LOADS]
    rows.append(["100, bursts of 10", *(_p50_p99(outcome) for outcome in bursts)])
    caption = (
        f"Latency of a delivery in ms, p50 / p99: {LOOPS} loops, rooms of one size, publishes at random, seed 1. "
        + _assumed("broker")
    )
    return Table("simulation", "Simulated latency", ["members", *(f"{load:.0%} busy" for load in LOADS)], rows, caption)


def held_against(model: Model, loops: Sequence[OpenLoop]) -> Table:
    """Return the simulation beside the measurement: one process, no broker, publishes at a fixed rate."""
    rows = []
    for run in loops:
        delivery = model.costs.delivery.at(run.size) * 1e-6
        same = Plan(
            processes=1,
            rooms=1,
            members=run.members,
            rate=run.rate,
            delivery=delivery,
            arrivals="regular",
            publishes=100,
            kept=run.members,
        )
        latencies = simulate(same).latencies.percentiles(0.5, 0.99)
        for name, said, was in zip(("p50", "p99"), latencies, (run.p50, run.p99), strict=True):
            difference = f"{(said * 1e3 - was) / was:+.0%}" if was else "none"
            rows.append([f"{run.case}, {name}", f"{number(was)} ms", f"{number(said * 1e3)} ms", difference])
    caption = "The simulation knows the CPU of the server alone: no generator, no kernel, no pauses."
    return Table("held", "Simulated and measured", ["case", "measured", "simulated", "difference"], rows, caption)


def _p50_p99(outcome: Outcome) -> str:
    p50, p99 = outcome.latencies.percentiles(0.5, 0.99)
    return f"{number(p50 * 1e3)} / {number(p99 * 1e3)}"


def _assumed(what: str) -> str:
    return f"Assumed, not measured: {what}."


def _machines(number_of: int) -> str:
    return "1 machine" if number_of == 1 else f"{number_of:,} machines"


def _connections(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:,.0f}"
