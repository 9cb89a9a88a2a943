"""The negotiation of permessage-deflate (RFC 7692, 5.1 and 7.1), and the grammar of its header (RFC 6455, 9.1)."""

import time
from typing import Final

import pytest
from hypothesis import given, strategies as st
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension

from asgi_ws.wire.negotiation import MalformedExtensions, Parameters, negotiate

NO_TAKEOVER = "; server_no_context_takeover; client_no_context_takeover"
REVERSED = "; client_no_context_takeover; server_no_context_takeover"
BITS = st.integers(min_value=9, max_value=15)


ACCEPTED: Final = [
    ("", Parameters(False, False, 12, 15), ""),
    # 7.1.1.1 and 7.1.1.2
    ("; server_no_context_takeover", Parameters(True, False, 12, 15), "; server_no_context_takeover"),
    ("; client_no_context_takeover", Parameters(False, True, 12, 15), "; client_no_context_takeover"),
    # 7.1.2.1
    ("; server_max_window_bits=9", Parameters(False, False, 9, 15), "; server_max_window_bits=9"),
    ("; server_max_window_bits=15", Parameters(False, False, 12, 15), "; server_max_window_bits=12"),
    # 7.1.2.2: without a value the client leaves it to the server; with one the response may not have a larger.
    ("; client_max_window_bits", Parameters(False, False, 12, 12), "; client_max_window_bits=12"),
    ("; client_max_window_bits=15", Parameters(False, False, 12, 12), "; client_max_window_bits=12"),
    ("; client_max_window_bits=8", Parameters(False, False, 12, 8), "; client_max_window_bits=8"),
    # RFC 6455, 9.1: a value in quotes is the same value; white space is allowed between the tokens.
    ('; server_max_window_bits="1\\0"', Parameters(False, False, 10, 15), "; server_max_window_bits=10"),
    ("\t ;\tserver_max_window_bits = 10 ", Parameters(False, False, 10, 15), "; server_max_window_bits=10"),
    (
        f"; client_max_window_bits=11; server_max_window_bits=10{REVERSED}",
        Parameters(True, True, 10, 11),
        f"{NO_TAKEOVER}; server_max_window_bits=10; client_max_window_bits=11",
    ),
]


@pytest.mark.parametrize(("offer", "parameters", "response"), ACCEPTED)
def test_an_offer_is_accepted_with_the_parameters_that_it_leaves_to_the_server(
    offer: str, parameters: Parameters, response: str
) -> None:
    assert negotiate([f"permessage-deflate{offer}"]) == (parameters, f"permessage-deflate{response}")


DECLINED: Final = [
    "unknown=1",
    "Server_No_Context_Takeover",
    "server_no_context_takeover; server_no_context_takeover",
    "server_max_window_bits=10; server_max_window_bits=10",
    "client_max_window_bits; client_max_window_bits=10",
    "server_no_context_takeover=1",
    "client_no_context_takeover=true",
    "server_max_window_bits",
    # zlib cannot make a raw stream of this window.
    "server_max_window_bits=8",
    *(f"server_max_window_bits={value}" for value in ("7", "16", "010", "+10", "10.0", "ten")),
    *(f"client_max_window_bits={value}" for value in ("7", "16", "08")),
    'client_max_window_bits="016"',
]


@pytest.mark.parametrize("parameters", DECLINED)
def test_an_offer_with_invalid_parameters_is_declined_and_the_next_one_considered(parameters: str) -> None:
    # RFC 7692, 5.1.
    accepted = (Parameters(False, False, 12, 15), "permessage-deflate")
    assert negotiate([f"permessage-deflate; {parameters}"]) is None
    assert negotiate([f"permessage-deflate; {parameters}, permessage-deflate"]) == accepted


@pytest.mark.parametrize(
    ("lines", "window_bits"),
    [
        (["permessage-deflate; server_max_window_bits=9, permessage-deflate; server_max_window_bits=10"], 9),
        (["permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10"], 10),
        (["permessage-deflate; server_max_window_bits=8", "permessage-deflate; server_max_window_bits=10"], 10),
        (["x-webkit-deflate-frame, permessage-bzip2; level=9", "permessage-deflate; server_max_window_bits=11"], 11),
        ([", ,\t,permessage-deflate; server_max_window_bits=9 ,,"], 9),
        (["", "permessage-deflate; server_max_window_bits=9", ""], 9),
    ],
)
def test_the_first_acceptable_offer_of_all_lines_is_taken(lines: list[str], window_bits: int) -> None:
    accepted = negotiate(lines)
    assert accepted
    assert accepted[0].server_max_window_bits == window_bits


NO_OFFERS: Final[list[list[str]]] = [
    [],
    ["x-webkit-deflate-frame"],
    ["permessage-deflate2", "Permessage-Deflate"],
    ['foo; bar="baz", foo'],
]


@pytest.mark.parametrize("lines", NO_OFFERS)
def test_other_extensions_are_declined(lines: list[str]) -> None:
    assert negotiate(lines) is None


MALFORMED: Final = [
    "",
    " \t",
    ",",
    ";",
    "permessage-deflate; ",
    "permessage-deflate;; client_max_window_bits",
    "permessage-deflate client_max_window_bits",
    "permessage-deflate; client_max_window_bits=, foo",
    "permessage-deflate; =10",
    "permessage-deflate=10",
    "permessage-deflate; client_max_window_bits=10=10",
    'permessage-deflate; client_max_window_bits="10',
    'permessage-deflate; client_max_window_bits=""',
    'permessage-deflate; client_max_window_bits="1 0"',
    'permessage-deflate; client_max_window_bits="10"0',
    'permessage-deflate; client_max_window_bits="10\\"',
    '"permessage-deflate"',
    "permessage-deflate\x00",
    "permessage-deflate\n",
    "permessage-deflate\x85",
    "permessage-d\xe9flate",
]


@pytest.mark.parametrize("line", MALFORMED)
def test_a_header_that_breaks_the_grammar_is_malformed_wherever_it_stands_and_each_time(line: str) -> None:
    for lines in ([line], [line], ["permessage-deflate", line])[: 3 if line.strip(" \t,") else 2]:
        with pytest.raises(MalformedExtensions) as caught:
            negotiate(lines)
        assert isinstance(caught.value, ValueError)
        assert "deflate" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 60_000 + '"',
        "a" + " " * 60_000 + "x",
        "a" + "; b" * 20_000 + '"',
        'a; b="' + "\\a" * 30_000,
        "a" + ";b   " * 12_000 + "\x00",
        "," * 60_000 + "=",
        "a; b=c, " * 7_500 + '"',
    ],
)
def test_a_header_of_any_kind_is_read_in_linear_time(line: str) -> None:
    start = time.process_time()
    with pytest.raises(MalformedExtensions):
        negotiate([line])
    # Parsing takes a few hundredths of a second at most. In quadratic time it would take seconds.
    assert time.process_time() - start < 0.5


def test_the_server_may_give_up_its_context_unasked() -> None:
    accepted = (Parameters(True, False, 12, 15), "permessage-deflate")
    assert negotiate(["permessage-deflate"], server_context_takeover=False) == accepted


@pytest.mark.parametrize(
    ("offer", "response"),
    [("", ""), ("; server_max_window_bits=15",) * 2, ("; client_max_window_bits", "; client_max_window_bits=15")],
)
def test_windows_of_full_size_are_named_only_where_the_client_did(offer: str, response: str) -> None:
    accepted = (Parameters(False, False, 15, 15), f"permessage-deflate{response}")
    assert negotiate([f"permessage-deflate{offer}"], max_window_bits=15) == accepted


OFFERS = st.tuples(st.booleans(), st.booleans(), st.none() | BITS, st.none() | st.just(True) | BITS)


@given(OFFERS, BITS, st.booleans())
def test_a_client_of_websockets_agrees_with_the_response(
    offered: tuple[bool, bool, int | None, int | bool | None], max_bits: int, own_takeover: bool
) -> None:
    client = ClientPerMessageDeflateFactory(*offered)
    offer = build_extension([(client.name, client.get_request_params())])
    accepted = negotiate([offer], max_window_bits=max_bits, server_context_takeover=own_takeover)
    assert accepted
    parameters, response = accepted
    ((name, values),) = parse_extension(response)
    # Raises if the response does not answer its offer.
    extension = client.process_response_params(values, [])
    assert name == client.name
    # RFC 7692, 7.1.1.1 and 7.1.2.1: a client can read a server that uses less than it announced.
    assert parameters.server_no_context_takeover >= extension.remote_no_context_takeover
    assert parameters.server_max_window_bits <= extension.remote_max_window_bits
    assert parameters.client_no_context_takeover == extension.local_no_context_takeover
    assert parameters.client_max_window_bits == extension.local_max_window_bits
    assert {name for name, _ in values} <= {name for name, _ in client.get_request_params()}


NAMES = (
    "server_no_context_takeover client_no_context_takeover server_max_window_bits client_max_window_bits odd"
).split()
VALUES = ["", "=8", "=9", '="11"', "=15", "=16", "=", "=x y"]
PARAMETERS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map("".join), max_size=4)
EXTENSIONS = st.lists(
    st.tuples(st.sampled_from(["permessage-deflate", "other", "", "bad name"]), PARAMETERS).map(
        lambda pair: "; ".join([pair[0], *pair[1]])
    ),
    min_size=1,
    max_size=3,
).map(", ".join)


@given(line=EXTENSIONS)
def test_every_header_has_the_outcome_of_websockets(line: str) -> None:
    server = ServerPerMessageDeflateFactory(server_max_window_bits=12, client_max_window_bits=12)
    try:
        offers = parse_extension(line.strip(" "))
    except InvalidHeader:
        with pytest.raises(MalformedExtensions):
            negotiate([line])
        return
    expected = None
    for name, values in offers:
        if name == server.name and expected is None:
            try:
                response, extension = server.process_request_params(values, [])
            except NegotiationError:
                continue
            # websockets names its own window unasked.
            offered = {name for name, _ in values}
            response = [(name, value) for name, value in response if name in offered]
            expected = build_extension([(name, response)]), extension.remote_max_window_bits
    accepted = negotiate([line])
    assert (accepted and (accepted[1], accepted[0].client_max_window_bits)) == expected
