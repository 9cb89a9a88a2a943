"""HTTP."""

from collections.abc import AsyncIterator

import pytest

from tests.servers.client import handshake, http, next_client_is_served, raw
from tests.servers.launch import ServerProcess

from .conftest import Log, Observe


@pytest.mark.row("`GET /hello`")
async def test_hello_is_answered_with_its_length_and_type(process: ServerProcess, observed: Observe) -> None:
    async with http(process) as client:
        response = await client.get("/hello")
    assert (response.status_code, response.text) == (200, "Hello, World!")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-length"] == "13"
    observed("200")


@pytest.mark.row("`HEAD /hello`")
async def test_head_has_the_headers_of_get_and_no_body(process: ServerProcess, observed: Observe) -> None:
    async with http(process) as client:
        response = await client.head("/hello")
        # A body that should not be there would spoil the next response of the same connection.
        again = await client.get("/hello")
    assert (response.status_code, response.content, response.headers["content-length"]) == (200, b"", "13")
    assert again.text == "Hello, World!"
    observed("200 without a body")


@pytest.mark.row("a path without a route, over HTTP")
async def test_an_unknown_path_is_404(process: ServerProcess, observed: Observe) -> None:
    async with http(process) as client:
        status = (await client.get("/nowhere")).status_code
    assert status == 404
    observed(str(status))


@pytest.mark.row("an unsupported method")
async def test_another_method_is_405_with_allow(process: ServerProcess, observed: Observe) -> None:
    async with http(process) as client:
        response = await client.post("/hello")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    observed("405 with `Allow`")


@pytest.mark.row("body larger than `Limits.max_body_bytes`")
async def test_a_body_over_the_limit_is_413(process: ServerProcess, observed: Observe) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(512)

    async with http(process) as client:
        fits = await client.post("/upload", content=bytes(1024))
        assert (fits.status_code, fits.text) == (200, "1024")
        for content in (bytes(1025), pieces()):
            response = await client.post("/upload", content=content)
            assert response.status_code == 413
            # A body that was read only in part must not be taken for the next request.
            assert (await client.get("/hello")).text == "Hello, World!"
    await next_client_is_served(process)
    observed("413")


@pytest.mark.handler_fails
@pytest.mark.row("handler raises, over HTTP")
async def test_a_handler_that_raises_is_500_and_one_traceback(
    process: ServerProcess, observed: Observe, log: Log
) -> None:
    name = f"raised-on-{process.server.name}"
    async with http(process) as client:
        response = await client.get("/raise", params={"id": name})
    assert response.status_code == 500
    assert await log.count(f"RuntimeError: {name}") == 1
    observed("500, one traceback")


async def test_the_client_is_an_address_and_the_state_is_lifespans(process: ServerProcess) -> None:
    async with http(process) as client:
        view = (await client.get("/view")).json()
    host, port = view["client"]
    assert host == "127.0.0.1"
    assert isinstance(port, int)
    assert view["state"] == {"greeting": "hello"}


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_error(process: ServerProcess) -> None:
    request = b"POST /upload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nhalf"
    async with raw(process, request):
        pass
    async with http(process) as client:
        assert (await client.get("/hello")).status_code == 200


@pytest.mark.server_complains
async def test_bytes_that_are_no_request_do_no_harm(process: ServerProcess) -> None:
    for data in (bytes(100), b"GET\r\n\r\n", handshake("/ws/endpoint")[:-2]):
        async with raw(process, data) as connection:
            connection.write_eof()
            await connection.rest()
    async with http(process) as client:
        assert (await client.get("/hello")).status_code == 200
