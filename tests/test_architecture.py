"""The walls: what may import what, what a name may be, and what `import asgi_ws` costs."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import asgi_ws

PACKAGE = Path(asgi_ws.__file__).parent

# Which modules of the package each of these may import; everything else is forbidden to it.
ONLY = {
    "_asgi": set(),
    "errors": {"_asgi"},
    "lifecycle": {"_asgi", "errors"},
    "bounds": {"errors"},
    "limits": {"bounds", "errors", "lifecycle"},
}
# What these may never import, directly or by way of another module.
NEVER = {
    "websocket": {"routing", "endpoints", "application", "session"},
    "channel": {"routing", "endpoints", "application", "session"},
    "http": {"routing", "endpoints", "application"},
    "connection": {"routing", "endpoints", "application"},
    "security": {"routing", "endpoints", "application", "websocket", "http"},
    "session": {"routing", "endpoints", "application"},
    "patterns": {"routing", "application", "http", "websocket"},
    "lifespan": {"routing", "application"},
    "backlog": {"hub", "websocket"},
    "outbox": {"hub", "websocket"},
    "hub": {"routing", "endpoints", "application", "session", "brokers.redis", "brokers.nats"},
    "brokers.base": {"hub", "brokers.memory"},
    "brokers.memory": {"hub", "brokers.redis", "brokers.nats"},
}
# Which others each of these subpackages may import.
ROOMS = {
    "wire": {"bounds", "errors", "lifecycle"},
    "uvicorn_protocol": {"_asgi", "bounds", "errors", "lifecycle", "wire"},
    "brokers": {"_asgi", "bounds", "errors", "queues"},
}
# Who alone may import these.
ONLY_BY = {
    "demo": {"__init__"},
    "uvicorn": {"__main__", "uvicorn_protocol"},
    "uvicorn_protocol": set(),
    "wire": {"uvicorn_protocol"},
    "websockets": {"wire"},
    "asgiref": {"testing"},
    "httpx2": {"testing"},
    "testing": set(),
}


def modules() -> dict[str, Path]:
    """The modules of the package by their names, `demo/__init__.py` as `demo`."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }


def room(name: str) -> str:
    """The module or the subpackage, right below the package, that a module belongs to."""
    return name.partition(".")[0]


@functools.cache
def imports(path: Path) -> tuple[set[str], set[str]]:
    """What a file imports, under TYPE_CHECKING too: modules of the package, and other top-level packages."""
    own: set[str] = set()
    others: set[str] = set()
    rooms = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            others.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            above = node.level - 1
            assert above <= len(rooms)
            names = [node.module] if node.module else [alias.name for alias in node.names]
            own.update(".".join([*rooms[: len(rooms) - above], name]) for name in names)
    return own, others


@pytest.mark.parametrize("name", sorted(ONLY))
def test_the_core_tables_import_nothing_but_each_other(name: str) -> None:
    own, others = imports(modules()[name])
    assert own <= ONLY[name]
    assert others <= sys.stdlib_module_names
    assert "asyncio" not in others


@pytest.mark.parametrize("name", sorted(NEVER))
def test_a_lower_layer_never_reaches_a_higher_one(name: str) -> None:
    found = modules()
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        own, _ = imports(found[waiting.pop()])
        waiting.extend(own - reached)
        reached |= own
    assert not reached & NEVER[name]


@pytest.mark.parametrize("name", sorted(ROOMS))
def test_the_way_of_a_frame_needs_nothing_of_what_is_above_it(name: str) -> None:
    inside = [imports(path)[0] for module, path in modules().items() if room(module) == name]
    assert inside
    assert set(map(room, set.union(*inside))) - {name} <= ROOMS[name]


def test_the_wire_knows_no_loop_and_only_its_unmasking_another_library() -> None:
    others = {module: imports(path)[1] for module, path in modules().items() if room(module) == "wire"}
    assert {module for module, names in others.items() if "asyncio" in names} == set()
    foreign = {module: names - sys.stdlib_module_names for module, names in others.items()}
    assert {module: names for module, names in foreign.items() if names} == {"wire.masking": {"websockets"}}


@pytest.mark.parametrize("target", sorted(ONLY_BY))
def test_what_only_some_may_import_is_imported_by_nobody_else(target: str) -> None:
    importers = {room(name) for name, path in modules().items() if target in map(room, set.union(*imports(path)))}
    assert importers - {target} <= ONLY_BY[target]


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: imports(path)[0] for name, path in modules().items() if name != "__init__"}

    def reach(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        for target in graph.get(name, ()):
            reach(target, (*path, name))

    for name in graph:
        reach(name, ())


def test_the_package_alone_loads_nothing_but_the_standard_library() -> None:
    probe = "import sys; before = set(sys.modules); import asgi_ws; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert foreign - {"asgi_ws"} == set()
    # A class for one server is no part of what every application pays for.
    assert not {f"asgi_ws.{name}" for name in ("testing", "uvicorn_protocol", "wire")} & set(loaded)


def test_every_exported_name_is_there_once_and_no_module() -> None:
    assert len(set(asgi_ws.__all__)) == len(asgi_ws.__all__)
    public = {name for name in vars(asgi_ws) if not name.startswith("_")} - set(modules())
    assert public | {"__version__"} == set(asgi_ws.__all__)
    assert not set(asgi_ws.__all__) & set(modules())
