"""The walls between the folders: what may import what, what a name may be, and what `import asgi_ws` costs."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import asgi_ws

PACKAGE = Path(asgi_ws.__file__).parent
GROUND = {"_asgi", "close_codes", "errors", "extensions", "sizes"}
# The parts of the package that a module, or all modules of a folder, may import; others are forbidden.
ONLY = {
    **dict.fromkeys(GROUND, GROUND),
    "_aio": set(),
    "brokers": {"_asgi", "errors", "sizes"},
    "token_bucket": set(),
    "wire": {"errors", "close_codes", "sizes"},
    "uvicorn_protocol": {*GROUND, "wire"},
}
# The parts that these may never import, directly or through another module.
_ABOVE = {"application", "demo", "endpoints", "live", "routing"}
NEVER = {
    **dict.fromkeys(("connection", "http", "security", "websocket"), _ABOVE | {"brokers", "hub"}),
    "hub": _ABOVE | {"brokers.nats", "brokers.redis"},
    "hub.outbox": {"hub.hub", "hub.room", "websocket"},
    "hub.overflow": {"hub.hub", "hub.room", "websocket"},
    "routing": {"application"},
    "lifespan": {"application", "routing"},
    "http": _ABOVE | {"websocket"},
    "websocket.state": {"http"},
    "websocket": _ABOVE | {"brokers", "http", "hub"},
}
# Parts of the package, and libraries, that only these import.
ONLY_BY = {
    "asgiref": {"testing"},
    "demo": {"__init__"},
    "httpx2": {"testing"},
    "live": {"__init__", "demo"},
    "testing": set[str](),
    "uvicorn": {"__main__", "uvicorn_protocol"},
    "uvicorn_protocol": set[str](),
    "websockets": {"wire"},
    # But for the uvicorn class only the grammar of headers is taken from it, as `import asgi_ws` shows below.
    "wire": {"headers", "routing", "security", "uvicorn_protocol"},
}


@functools.cache
def modules() -> dict[str, Path]:
    """Return the modules of the package by name, without the `__init__` of a folder that has other modules."""
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


def is_in(name: str, place: str) -> bool:
    """Return True if a module is this one, or in this folder."""
    return f"{name}.".startswith(f"{place}.")


def inside(place: str) -> list[str]:
    """Return the modules of a place, which must exist."""
    found = [name for name in modules() if is_in(name, place)]
    assert found, place
    return found


@functools.cache
def imports(name: str) -> tuple[set[str], set[str]]:
    """Return what a module imports, under TYPE_CHECKING too: modules of the package, and top-level packages."""
    own: set[str] = set()
    others: set[str] = set()
    folders = name.split(".")[:-1]
    for node in ast.walk(ast.parse(modules()[name].read_text())):
        if isinstance(node, ast.Import):
            others.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            others.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            above = [*folders[: len(folders) + 1 - node.level], *filter(None, [node.module])]
            for alias in node.names:
                whole = ".".join([*above, alias.name])
                folder = ".".join([*above, "__init__"])
                own.add(next(each for each in (whole, ".".join(above), folder) if each in modules()))
    return own, others


def reached(name: str) -> set[str]:
    """Return the modules that a module imports, directly or by way of others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        own, _ = imports(waiting.pop())
        waiting.extend(own - found)
        found |= own
    return found


@pytest.mark.parametrize("place", sorted(ONLY))
def test_a_place_imports_only_what_stands_below_it(place: str) -> None:
    own = set[str]().union(*(imports(name)[0] for name in inside(place)))
    assert {name for name in own if not any(is_in(name, below) for below in {place, *ONLY[place]})} == set()


@pytest.mark.parametrize("place", sorted(NEVER))
def test_a_place_never_reaches_what_stands_above_it(place: str) -> None:
    found = set[str]().union(*(reached(name) for name in inside(place)))
    assert {name for name in found if any(is_in(name, above) for above in NEVER[place])} == set()


@pytest.mark.parametrize("target", sorted(ONLY_BY))
def test_what_only_some_may_import_is_imported_by_no_other_place(target: str) -> None:
    importers = {
        name for name in modules() if any(is_in(own, target) for own in imports(name)[0]) or target in imports(name)[1]
    }
    assert {name for name in importers if not any(is_in(name, place) for place in {target, *ONLY_BY[target]})} == set()


def test_the_tables_and_the_wire_know_no_event_loop() -> None:
    tables = [*inside("wire"), "uvicorn_protocol.phases", "websocket.state", "token_bucket", *GROUND]
    assert {name for name in tables if "asyncio" in imports(name)[1]} == set()


def test_the_wire_takes_only_its_unmasking_from_another_library() -> None:
    foreign = {name: imports(name)[1] - sys.stdlib_module_names for name in inside("wire")}
    assert {name: names for name, names in foreign.items() if names} == {"wire.masking": {"websockets"}}


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert {name for name in modules() if name in reached(name)} == set()


def test_the_package_alone_loads_nothing_but_the_standard_library() -> None:
    probe = "import sys; before = set(sys.modules); import asgi_ws; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert foreign - {"asgi_ws"} == set()
    # Other applications do not pay for the default one, or for a class for one server.
    unused = ("demo", "testing", "uvicorn_protocol")
    assert [name for name in loaded if any(is_in(name, f"asgi_ws.{place}") for place in unused)] == []
    assert {name for name in loaded if name.startswith("asgi_ws.wire.")} == {"asgi_ws.wire.grammar"}


def test_every_exported_name_is_there_once_and_no_module() -> None:
    assert len(set(asgi_ws.__all__)) == len(asgi_ws.__all__)
    top = {name.split(".")[0] for name in modules()}
    public = {name for name in dir(asgi_ws) if not name.startswith("_")} - top - {"TYPE_CHECKING"}
    assert public | {"__version__"} == set(asgi_ws.__all__)
    assert not set(asgi_ws.__all__) & top
