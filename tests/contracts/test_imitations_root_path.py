"""The testing kit's imitations below a root path, held to servers that are started with one."""

import pytest

from tests.servers.launch import ServerProcess
from tests.servers.table import SERVERS, Server

from .peers import ImitatedPeer, Peer, RealPeer

# With a slash at its end and percent-encoded: whether a server keeps the one and decodes the other differs.
ROOT = "/r%20/"


async def _scope(peer: Peer) -> list[object]:
    await peer.connect(())
    await peer.listen()
    return (await peer.notes())[0]


@pytest.mark.parametrize("server", [server for server in SERVERS if server.imitated], ids=lambda server: server.name)
async def test_the_imitation_has_path_and_root_path_as_the_server_does(server: Server) -> None:
    options = [server.root_path_option, ROOT]
    with ServerProcess(server, "tests.servers.probe_app:app", options=options) as process:
        real = await _scope(RealPeer(process, "scope"))
    assert await ImitatedPeer.observe(_scope, profile=server.profile, script="scope", root_path=ROOT) == real
