"""What permessage-deflate comes to (RFC 7692, 5.1 and 7.1), and what the header may look like (RFC 6455, 9.1)."""

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
    # RFC 6455, 9.1: a value in quotes is the same value; white space may stand between the tokens.
    ('; server_max_window_bits="1\\0"', Parameters(False, False, 10, 15), "; server_max_window_bits=10"),
    ("\t ;\tserver_max_window_bits = 10 ", Parameters(False, False, 10, 15), "; server_max_window_bits=10"),
    (
        f"; client_max_window_bits=11; server_max_window_bits=10{REVERSED}",
        Parameters(True, True, 10, 11),
        f"{NO_TAKEOVER}; server_max_window_bits=10; client_max_window_bits=11",
    ),
]


def test_an_offer_is_accepted_with_what_it_leaves_to_the_server() -> None:
    for offer, parameters, response in ACCEPTED:
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
    # zlib makes no raw stream of this window.
    "server_max_window_bits=8",
    *(f"server_max_window_bits={value}" for value in ("7", "16", "010", "+10", "10.0", "ten")),
    *(f"client_max_window_bits={value}" for value in ("7", "16", "08")),
    'client_max_window_bits="016"',
]


def test_an_offer_with_parameters_that_cannot_be_is_declined() -> None:
    accepted = (Parameters(False, False, 12, 15), "permessage-deflate")
    for parameters in DECLINED:
        assert negotiate([f"permessage-deflate; {parameters}"]) is None, parameters
        # The client may have a second choice (RFC 7692, 5.1).
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


def test_without_an_offer_of_permessage_deflate_there_is_none() -> None:
    for lines in (
        [],
        ["x-webkit-deflate-frame"],
        ["permessage-deflate2", "Permessage-Deflate"],
        ['foo; bar="baz", foo'],
    ):
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


def test_a_header_that_breaks_the_grammar_is_malformed_wherever_it_stands() -> None:
    for line in MALFORMED:
        with pytest.raises(MalformedExtensions) as caught:
            negotiate([line])
        assert isinstance(caught.value, ValueError)
        assert "deflate" not in str(caught.value)
        if line.strip(" \t,"):
            with pytest.raises(MalformedExtensions):
                negotiate(["permessage-deflate", line])


def test_a_malformed_header_is_malformed_each_time_it_comes() -> None:
    for _ in range(2):
        with pytest.raises(MalformedExtensions):
            negotiate(["permessage-deflate;"])


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
    # Quadratic would be seconds, and this is a few hundredths of one at most.
    assert time.process_time() - start < 0.5


def test_the_server_may_do_without_its_context_unasked() -> None:
    assert negotiate(["permessage-deflate"], server_context_takeover=False) == (
        Parameters(True, False, 12, 15),
        "permessage-deflate",
    )


@pytest.mark.parametrize(
    ("offer", "response"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=15"),
    ],
)
def test_windows_of_full_size_are_named_only_where_the_client_did(offer: str, response: str) -> None:
    assert negotiate([offer], max_window_bits=15) == (Parameters(False, False, 15, 15), response)


@given(
    server_takeover=st.booleans(),
    client_takeover=st.booleans(),
    server_bits=st.none() | BITS,
    client_bits=st.none() | st.just(True) | BITS,
    max_bits=BITS,
    own_takeover=st.booleans(),
)
def test_a_client_of_websockets_agrees_with_what_was_accepted(
    *,
    server_takeover: bool,
    client_takeover: bool,
    server_bits: int | None,
    client_bits: int | bool | None,
    max_bits: int,
    own_takeover: bool,
) -> None:
    client = ClientPerMessageDeflateFactory(not server_takeover, not client_takeover, server_bits, client_bits)
    offer = build_extension([(client.name, client.get_request_params())])
    accepted = negotiate([offer], max_window_bits=max_bits, server_context_takeover=own_takeover)
    assert accepted
    parameters, response = accepted
    # It raises where a response is no answer to its offer.
    ((name, values),) = parse_extension(response)
    extension = client.process_response_params(values, [])
    assert name == client.name
    # RFC 7692, 7.1.1.1 and 7.1.2.1: with what the client knows of it, it can read a server that uses less.
    assert parameters.server_no_context_takeover >= extension.remote_no_context_takeover
    assert parameters.server_max_window_bits <= extension.remote_max_window_bits
    assert parameters.client_no_context_takeover == extension.local_no_context_takeover
    assert parameters.client_max_window_bits == extension.local_max_window_bits
    assert {name for name, _ in values} <= {name for name, _ in client.get_request_params()}


PARAMETERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "server_no_context_takeover",
                "client_no_context_takeover",
                "server_max_window_bits",
                "client_max_window_bits",
                "odd",
            ]
        ),
        st.sampled_from(["", "=8", "=9", '="11"', "=15", "=16", "=", "=x y"]),
    ).map("".join),
    max_size=4,
)
EXTENSIONS = st.lists(
    st.tuples(st.sampled_from(["permessage-deflate", "other", "", "bad name"]), PARAMETERS).map(
        lambda pair: "; ".join([pair[0], *pair[1]])
    ),
    min_size=1,
    max_size=3,
).map(", ".join)


@given(line=EXTENSIONS)
def test_every_header_comes_to_what_websockets_makes_of_it(line: str) -> None:
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
            # It names its own window unasked.
            offered = {name for name, _ in values}
            response = [(name, value) for name, value in response if name in offered]
            expected = build_extension([(name, response)]), extension.remote_max_window_bits
    accepted = negotiate([line])
    assert (accepted and (accepted[1], accepted[0].client_max_window_bits)) == expected
