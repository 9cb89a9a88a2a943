import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.servers.client import opened

from .served import HASTY, Uvicorn


class Serve(Protocol):
    """Return the server with these options, which all tests share."""

    def __call__(self, *options: str, **arguments: Any) -> Uvicorn: ...


class Start(Protocol):
    """Start a server with these options for one test, which may stop it."""

    def __call__(self, *options: str, **arguments: Any) -> Uvicorn: ...


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "handler_fails: the server logs an error, which the test accounts for")


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    with ExitStack() as stack:
        servers: list[Uvicorn] = []

        def start(*options: str, **arguments: Any) -> Uvicorn:
            servers.append(stack.enter_context(Uvicorn(*options, **arguments)))
            return servers[-1]

        yield start
        complaints = [line for server in servers for line in server.complaints()]
        if not request.node.get_closest_marker("handler_fails"):
            assert not complaints, "\n".join(complaints)


@pytest.fixture(scope="session")
def started() -> Iterator[Serve]:
    servers: dict[tuple[object, ...], Uvicorn] = {}
    with ExitStack() as stack:

        def start(*options: str, **arguments: Any) -> Uvicorn:
            key = (options, *sorted(arguments.items()))
            if key not in servers:
                servers[key] = stack.enter_context(Uvicorn(*options, **arguments))
            return servers[key]

        yield start
        # Stop them together, since each may wait for handlers.
        for server in servers.values():
            server.terminate()
        assert [server for server in servers.values() if not server.stop()] == [], "a server did not stop when asked to"
        complaints = {str(key): found for key, server in servers.items() if (found := server.complaints())}
        assert not complaints


@pytest.fixture
async def serve(request: pytest.FixtureRequest, started: Serve) -> Any:
    """Start a server as `started` does. An unexpected log line fails a test that is not marked `handler_fails`."""
    used: dict[int, Uvicorn] = {}

    def use(*options: str, **arguments: Any) -> Uvicorn:
        server = started(*options, **arguments)
        if id(server) not in used:
            server.mark()
            used[id(server)] = server
        return server

    yield use
    while opened:
        opened.pop().transport.abort()
    for server in used.values():
        await server.settle()
        complaints = server.complaints()
        server.mark()
        if not request.node.get_closest_marker("handler_fails"):
            assert not complaints, "\n".join(complaints)


@pytest.fixture
def server(serve: Serve) -> Uvicorn:
    return serve()


@pytest.fixture
def hasty(serve: Serve) -> Uvicorn:
    return serve(ws=HASTY)


@pytest.fixture
def narrow(serve: Serve) -> Uvicorn:
    return serve("--ws-max-queue=4")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key, and return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


@pytest.fixture(scope="session")
def tls_options(certificate: tuple[Path, Path]) -> list[str]:
    return [f"--ssl-certfile={certificate[0]}", f"--ssl-keyfile={certificate[1]}"]


@pytest.fixture(scope="session")
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate[0])
