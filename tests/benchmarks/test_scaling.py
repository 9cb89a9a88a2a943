"""The model of scale against numbers computed by hand."""

import math
from dataclasses import replace
from typing import Any, Final

import pytest

from benchmarks.results import Figure, Results
from benchmarks.scaling import wire
from benchmarks.scaling.figures import LOOKUPS, Costs, Line, OpenLoop, ScalingError, costs_of, open_loops_of
from benchmarks.scaling.inputs import Assumptions, Workload
from benchmarks.scaling.model import Model, distinct

from .scaling_samples import AT_RATE, ECHO_1024, results

COSTS: Final = Costs(
    echo=Line(20.0), delivery=Line(10.0), burst=None, handshake=500.0, ping=15.0, memory=20.0, memory_deflate=None
)
# One process, and nothing but what was measured.
BARE: Final = Assumptions(
    cores=1, lifetime=1e12, ping_interval=1e12, process_mib=0, socket_kib=0, slow_share=0, process_descriptors=1
)


def model(load: Workload | None = None, given: Assumptions = BARE, **costs: Any) -> Model:
    return Model(replace(COSTS, **costs), load or Workload(), given)


# -- figures


def test_figures_are_medians_and_of_several_cases_of_one_size_the_dearest_counts() -> None:
    costs = costs_of(results())
    assert costs.echo.at(32) == pytest.approx(20.32)
    assert costs.echo.at(1024) == pytest.approx(30.24)
    assert costs.echo.per_byte == pytest.approx(0.01)
    assert (costs.handshake, costs.ping, costs.memory, costs.memory_deflate) == (500, 15, 20, 40)


def test_deliveries_measured_at_one_size_cost_half_of_an_echos_byte() -> None:
    costs = costs_of(results())
    assert costs.delivery.at(64) == pytest.approx(10.32)
    assert costs.delivery.at(1064) == pytest.approx(15.32)
    assert costs.burst is not None
    assert costs.burst.at(64) == pytest.approx(4.32)


def test_each_figure_is_said_with_its_case_and_contestant() -> None:
    sources = costs_of(results(), takes={"delivery": "starlette"}).sources
    assert {source.title for source in sources} == {lookup.title for lookup in LOOKUPS.values()}
    assert [source.contestant for source in sources if source.title == "CPU of a delivery"] == ["starlette"]
    assert "deflate" not in "".join(source.case for source in sources if "deflate" not in source.title)


@pytest.mark.parametrize(("scenario", "name"), [("echo", "echo"), ("fanout", "delivery"), ("handshake", "handshake")])
def test_a_figure_that_the_results_lack_is_named(scenario: str, name: str) -> None:
    with pytest.raises(
        ScalingError, match=rf"^the results lack {LOOKUPS[name].title} of asgi_ws .scenario '{scenario}'"
    ):
        costs_of(results(leave_out=(scenario,)))


def test_all_missing_figures_are_named_at_once_with_those_who_have_them() -> None:
    with pytest.raises(ScalingError) as error:
        costs_of(results(), "nobody")
    assert str(error.value).count("which asgi_ws, starlette have") == 4
    assert "\n" not in str(error.value)


def test_one_size_of_an_echo_is_not_enough() -> None:
    run = results()
    run.figures = [figure for figure in run.figures if figure.case != ECHO_1024]
    with pytest.raises(ScalingError, match="at 2 sizes"):
        costs_of(run)


def test_what_is_optional_may_be_missing() -> None:
    costs = costs_of(results(leave_out=("burst", "idle")))
    assert costs.burst is None
    assert costs.ping == costs.echo.fixed


def test_a_figure_of_nothing_is_refused() -> None:
    run = results(leave_out=("handshake",))
    run.figures.append(Figure("handshake", "connect", "asgi_ws", "cpu", (0.0,)))
    with pytest.raises(ScalingError, match=r"^CPU of a handshake of asgi_ws is 0$"):
        costs_of(run)


def test_a_line_that_noise_lets_fall_is_flat_at_the_dearer_end() -> None:
    assert Line.through({32: 20.0, 1024: 18.0}) == Line(20.0)
    assert Line.through({100: 1.0, 200: 100.0}).at(0) == 0


def test_open_loop_runs_are_read_from_their_case() -> None:
    assert open_loops_of(results()) == [OpenLoop(AT_RATE, 1000, 64, 10.0, 5.5, 12.0)]
    assert open_loops_of(results(leave_out=("fanout",))) == []


def test_the_mapping_finds_its_figures_in_the_cases_that_the_scenarios_have() -> None:
    from benchmarks.scenarios import SCENARIOS
    from benchmarks.scenarios.base import FULL

    metrics = ("cpu", "cpu_paced", "memory", "p50", "p99")
    figures = [
        Figure(scenario.name, case.name, "asgi_ws", metric, (1.0,))
        for scenario in SCENARIOS
        for case in scenario.cases(FULL)
        for metric in metrics
    ]
    run = Results("", "", {}, {}, figures=figures)
    assert {source.title for source in costs_of(run).sources} == {lookup.title for lookup in LOOKUPS.values()}
    assert [(loop.members, loop.size) for loop in open_loops_of(run)] == [(1000, 64)]


# -- the wire


@pytest.mark.parametrize(("payload", "size"), [(0, 2), (125, 127), (126, 130), (65535, 65539), (65536, 65546)])
def test_a_frame_has_the_header_of_rfc_6455(payload: int, size: int) -> None:
    assert wire.frame(payload, masked=False) == size
    assert wire.frame(payload, masked=True) == size + 4


def test_a_small_message_is_one_packet_and_one_acknowledgement() -> None:
    assert wire.sent(66) == wire.Traffic(bytes_in=90, bytes_out=156, packets_in=1, packets_out=1)
    assert wire.received(66) == wire.Traffic(bytes_in=156, bytes_out=90, packets_in=1, packets_out=1)


def test_a_large_message_is_cut_into_segments_and_every_second_is_acknowledged() -> None:
    assert wire.sent(1448).packets_out == 1
    assert wire.sent(4 * 1448 + 1) == wire.Traffic(3 * 90, 4 * 1448 + 1 + 5 * 90, 3, 5)


# -- the model, by hand


def test_an_echo_costs_what_was_measured_and_no_delivery_besides() -> None:
    usage = model(Workload(connections=1000, rate=10, room=1)).usage(1)
    assert usage.cpu["receiving"] == pytest.approx(0.2)
    assert usage.cpu["delivering"] == usage.cpu["broker's client"] == 0
    assert usage.cpu_total == pytest.approx(0.2)


def test_a_room_on_one_process_costs_the_echo_and_the_deliveries_to_the_others() -> None:
    usage = model(Workload(connections=1000, rate=1, room=11)).usage(1)
    assert usage.cpu["receiving"] == pytest.approx(0.02)
    assert usage.cpu["delivering"] == pytest.approx(1000 * 10 * 10e-6)


def test_the_broker_takes_each_event_once_for_every_process_that_it_reaches() -> None:
    two = model(Workload(connections=1000, rate=1, room=2), replace(BARE, broker_publish_us=15, broker_delivery_us=5))
    broker = two.broker(2)
    assert broker.publishes == 1000
    assert broker.deliveries == pytest.approx(1500)
    assert broker.cpu == pytest.approx((1000 * 15 + 1500 * 5) * 1e-6)
    assert two.usage(2).cpu["broker's client"] == pytest.approx((1000 * 40 + 1500 * 25) * 1e-6)
    assert two.broker(1).load == 0


@pytest.mark.parametrize("members", [1, 2, 50, 10**6])
def test_one_place_is_reached_whatever_the_members(members: int) -> None:
    assert distinct(members, 1) == 1


@pytest.mark.parametrize("places", [1, 2, 24, 10**9])
def test_one_member_reaches_one_place(places: int) -> None:
    assert distinct(1, places) == pytest.approx(1)


def test_many_members_reach_every_place_and_few_among_very_many_one_each() -> None:
    assert distinct(10**6, 24) == pytest.approx(24)
    assert distinct(50, 10**12) == pytest.approx(50)
    assert distinct(3, 2) == pytest.approx(2 * (1 - 1 / 8))


def test_pings_handshakes_and_memory_are_of_connections() -> None:
    given = replace(BARE, lifetime=100, ping_interval=20, socket_kib=4, slow_share=0.5, slow_kib=10)
    usage = model(Workload(connections=1000, rate=0), given).usage(1)
    assert usage.cpu["handshakes"] == pytest.approx(10 * 500e-6)
    assert usage.cpu["pings"] == pytest.approx(50 * 15e-6)
    assert usage.memory == pytest.approx(1000 * (20 + 4 + 5) * 1024)


def test_an_idle_machine_is_full_when_its_memory_is() -> None:
    idle = model(Workload(connections=1000, rate=0, room=1), replace(BARE, memory_gib=1, descriptors=10**6))
    resource, connections = idle.first_limit(1)
    assert resource == "memory"
    assert connections == pytest.approx(0.8 * 2**20 / 20)


def test_machines_are_the_fewest_with_which_the_target_is_kept() -> None:
    # 30,000 messages of 20 µs fill 0.6 of one core.
    echo = Workload(connections=29_999, rate=1, room=1)
    alone = replace(BARE, app_publish_us=0, app_event_us=0)
    assert model(echo, alone).machines() == 1
    more = model(replace(echo, connections=30_001), alone)
    assert more.machines() == 2
    assert max(more.shares(2).values()) <= 1 < max(more.shares(1).values())


@pytest.mark.parametrize("connections", [100, 12_345, 10**6])
def test_at_the_end_of_the_first_resource_its_share_is_one(connections: int) -> None:
    some = Model(costs_of(results()), Workload(connections=connections))
    machines = some.machines()
    name, end = some.first_limit(machines)
    assert some.for_(connections=end * machines).shares(machines)[name] == pytest.approx(1)


def test_one_broker_is_enough_up_to_the_bound_and_not_beyond() -> None:
    some = Model(costs_of(results()))
    bound = some.broker_bound()
    assert bound is not None
    for connections, brokers in ((bound - 1, 1), (bound, 2)):
        grown = some.for_(connections=connections)
        assert grown.brokers(grown.machines()) == brokers


def test_more_machines_do_not_relieve_a_broker_and_sticky_rooms_do() -> None:
    some = Model(costs_of(results()), Workload(connections=10**6))
    loads = [some.broker(machines).load for machines in (10, 20, 40, 80)]
    assert loads == sorted(loads)
    assert some.for_(sticky=True).broker(80).deliveries == some.published


def test_without_messages_no_number_of_connections_needs_a_second_broker() -> None:
    assert model(Workload(rate=0)).broker_bound() is None


def test_batches_divide_events_and_packets_and_cost_what_bursts_did() -> None:
    plain = model(Workload(connections=1000, rate=1, room=11, size=100), burst=Line(4.0))
    joined = plain.for_(batch=10)
    assert joined.published == plain.published / 10
    assert joined.delivered == plain.delivered
    assert joined.usage(1).cpu["delivering"] == pytest.approx(plain.usage(1).cpu["delivering"] * 0.4)
    assert joined.usage(1).network.packets_out < plain.usage(1).network.packets_out / 4


def test_deflate_trades_cpu_and_memory_for_bytes() -> None:
    plain = Model(costs_of(results()), Workload(connections=10_000, size=1000))
    deflated = plain.for_(deflate=True)
    assert deflated.usage(2).network.bytes_out < plain.usage(2).network.bytes_out
    assert deflated.usage(2).cpu_total > plain.usage(2).cpu_total
    assert deflated.memory_of_one - plain.memory_of_one == pytest.approx(20 * 1024)
    with pytest.raises(ScalingError, match="deflate"):
        model().for_(deflate=True)


def test_a_storm_takes_what_the_usual_work_leaves() -> None:
    some = model(Workload(connections=10_000, rate=0, storm=10))
    assert some.storm_share(1) == pytest.approx(10_000 * 500e-6 / 10)
    assert some.storm_least(1) == pytest.approx(5.0, rel=1e-6)
    assert some.for_(rate=10, room=100).storm_least(1) == math.inf


def test_a_room_of_ten_thousand_keeps_one_loop_for_a_tenth_of_a_second() -> None:
    room = model(Workload(room=10_000))
    assert room.room_seconds(1) == pytest.approx(0.1)
    assert room.room_seconds(10) == pytest.approx(0.01)
