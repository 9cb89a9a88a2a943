"""The position of a task, and the tasks that an application has left behind."""

import asyncio
import contextvars
import gc
import inspect
import sys
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from itertools import groupby
from pathlib import Path
from textwrap import indent
from typing import Any, Final, Protocol

# Set to a token in the context that an application is run in. Every task that the application starts inherits it.
OWNER: Final[ContextVar[object]] = ContextVar("asgi_ws.testing.OWNER")

KIT: Final = str(Path(__file__).parent)
PACKAGE: Final = Path(__file__).parent.parent
STANDARD: Final = Path(asyncio.__file__).parent.parent
ASYNCIO: Final = str(Path(asyncio.__file__).parent)
# The kit's functions that an application waits in, by file and name, and what that means to the application's author.
MEANINGS: Final = {
    (str(Path(KIT, "servers", "websocket.py")), "receive"): "waiting in receive() for the next event",
    (str(Path(KIT, "servers", "websocket.py")), "_receive"): "waiting in receive() for the next event",
    (str(Path(KIT, "servers", "websocket.py")), "send"): "waiting in send() for the peer to read",
    (str(Path(KIT, "exchange.py")), "_read"): "waiting in receive() for the next event",
    (str(Path(KIT, "lifespan.py")), "_read"): "waiting in receive() for the next event",
}
# Where these wait for tasks, and which local variable holds them.
WAITING: Final = {"_wait": "fs", "wait_for": "fut"}
# Of a deeper stack the ends are shown: what began it, and where it is now.
OUTERMOST: Final = 5
INNERMOST: Final = 20
# How many tasks are followed in one answer, and its longest text.
MOST_TASKS: Final = 10
MOST_CHARACTERS: Final = 8_000
INDENT: Final = "  "

# Types whose objects have the frame at which they are suspended.
SUSPENDED: Final = (types.CoroutineType, types.GeneratorType, types.AsyncGeneratorType)


def stands_at(task: asyncio.Task[Any]) -> str:
    """Return the position of a task, as lines like a traceback's, the outermost call first, and its waits.

    A task that it waits for is followed. Never raises: it is asked when something else has gone wrong.
    """
    try:
        lines = list(_stand(task, set()))
    except Exception as error:  # noqa: BLE001 -- no foreign object may hide what went wrong
        lines = [f"position unknown: {type(error).__name__}"]
    text = "\n".join(lines)
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}\n... cut here"


def place_of(task: asyncio.Task[Any]) -> str:
    """Return the innermost call of a suspended task outside of libraries, as `app.py:12 in echo`, or "".

    Never raises, as `stands_at`.
    """
    try:
        return innermost_own(_chain(None if task.done() else task.get_coro()))
    except Exception:  # noqa: BLE001 -- no foreign object may hide what went wrong
        return ""


def innermost_own(stack: Iterable[types.FrameType]) -> str:
    """Return the last of these calls outside of libraries, as `app.py:12 in echo`, or ""."""
    own = [frame for frame in stack if library_of(frame) is None]
    return "".join(f"{place_in(at, at.f_lineno)} in {_short(at.f_code.co_qualname)}" for at in own[-1:])


def place_in(frame: types.FrameType, line: int) -> str:
    """Return a line of a call's file, as `app.py:12`."""
    return f"{Path(frame.f_code.co_filename).name}:{line}"


def _short(qualname: str) -> str:
    """Return the name of a function without that of the enclosing function, such as a test."""
    return qualname.rpartition("<locals>.")[2]


def report(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Return each task with its name, its coroutine and its position."""
    ordered = sorted(tasks, key=lambda task: task.get_name())
    return "\n".join(f"{_title(task)}:\n{indent(stands_at(task), INDENT)}" for task in ordered)


def _title(task: asyncio.Task[Any]) -> str:
    coroutine: object = task.get_coro()
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__qualname__)
    return f"task {task.get_name()!r} ({_short(name)})"


def tasks_of(owner: object) -> set[asyncio.Task[Any]]:
    """Return the tasks of the running loop that are not done and run in a context whose `OWNER` is `owner`.

    That is the task that was started with this context, and what came of it, however deep, unless it was given a
    context of its own (`create_task(..., context=Context())`). The current task is left out.
    """
    others = asyncio.all_tasks() - {asyncio.current_task()}
    return {task for task in others if context_of(task).get(OWNER) is owner}


def context_seen_by_collector(task: asyncio.Task[Any]) -> contextvars.Context:
    """Return the context that a task runs in, on a Python without `Task.get_context`.

    The garbage collector is shown everything that a task holds. Its own context comes first: a second one is that of
    whoever added a callback, and a task that awaits another adds one.
    """
    contexts = (held for held in gc.get_referents(task) if type(held) is contextvars.Context)
    return next(contexts, contextvars.Context())


class CallGraph(Protocol):
    """The part that this module uses of `asyncio.FutureCallGraph`."""

    @property
    def future(self) -> "asyncio.Future[Any]": ...
    @property
    def awaited_by(self) -> "Sequence[CallGraph]": ...


class CaptureCallGraph(Protocol):
    """`asyncio.capture_call_graph`. With a limit of 0 a graph has no frames."""

    def __call__(self, future: "asyncio.Future[Any]", /, *, limit: int) -> CallGraph | None: ...


# From Python 3.14 on asyncio keeps the graph of the tasks that wait for one another.
capture_call_graph: CaptureCallGraph | None = getattr(asyncio, "capture_call_graph", None)

# Python 3.12 tells.
ContextOf = Callable[[asyncio.Task[Any]], contextvars.Context]
context_of: ContextOf = getattr(asyncio.Task, "get_context", context_seen_by_collector)


def _stand(task: asyncio.Task[Any], seen: set[asyncio.Task[Any]]) -> Iterator[str]:
    seen.add(task)
    if task.done():
        yield _ending(task)
        return
    coroutine: Any = task.get_coro()
    if isinstance(coroutine, types.CoroutineType) and coroutine.cr_running:
        yield "runs now:"
        yield from _shown(_running(coroutine))
        return
    stack = list(_chain(coroutine))
    if not stack:
        yield f"in {type(coroutine).__qualname__}, whose position is unknown"
    elif inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        yield "has not started yet:"
    yield from _shown(stack)
    if not any(_meaning(frame) for frame in stack):
        yield from _waiting(task, stack, seen)


def _ending(task: asyncio.Task[Any]) -> str:
    if task.cancelled():
        return "was cancelled"
    # The report shows the exception, so it counts as retrieved.
    error = task.exception()
    return "has returned" if error is None else "raised " + "".join(traceback.format_exception_only(error)).rstrip()


def _waiting(task: asyncio.Task[Any], stack: list[types.FrameType], seen: set[asyncio.Task[Any]]) -> Iterator[str]:
    """Yield the tasks that a suspended task waits for, beyond its innermost call."""
    # No public API returns it. `repr(task)` shows it, cut short.
    future: asyncio.Future[Any] | None = getattr(task, "_fut_waiter", None)
    if future is None or future.done():
        yield "is about to run"
        return
    graph = [] if capture_call_graph is None else _awaited_by_graph(task, capture_call_graph)
    # AnyIO's groups are not in the graph.
    awaited = graph or [other for other in _awaited(future, stack[-1:]) if not other.done()]
    for other in sorted(awaited, key=lambda task: task.get_name()):
        name = f"which waits for task {other.get_name()!r}"
        if any(_meaning(frame) for frame in list(_chain(other.get_coro()))[:1]):
            # The kit's own task: the application's author knows it as a call.
            yield from _stand(other, seen)
        elif other in seen:
            yield f"{name}, as shown above"
        elif len(seen) >= MOST_TASKS:
            yield f"{name}, and more"
            return
        else:
            yield f"{name}:"
            yield from (indent(line, INDENT) for line in _stand(other, seen))
    if not awaited and not (stack and _is_in(stack[-1], ASYNCIO)):
        yield f"which waits for <{type(future).__name__} pending>"


def _awaited_by_graph(task: asyncio.Task[Any], capture: CaptureCallGraph) -> list[asyncio.Task[Any]]:
    """Return the tasks that a task waits for, by the graph that the event loop keeps."""
    try:
        graphs = [capture(other, limit=0) for other in asyncio.all_tasks(task.get_loop())]
    except RecursionError:
        # asyncio follows tasks that wait for each other without end.
        return []
    found = [graph.future for graph in graphs if graph and any(waiter.future is task for waiter in graph.awaited_by)]
    return [other for other in found if isinstance(other, asyncio.Task)]


def _awaited(future: asyncio.Future[Any], innermost: list[types.FrameType]) -> list[asyncio.Task[Any]]:
    """Return the tasks that have to end before this future does, for asyncio's own ways of waiting."""
    found: list[Any] = [future, *getattr(future, "_children", ())]
    # `shield` holds the inner task in the callback of the outer future.
    for callback, _ in getattr(future, "_callbacks", None) or ():
        if isinstance(callback, types.FunctionType) and callback.__module__ == asyncio.shield.__module__:
            found.extend(cell.cell_contents for cell in callback.__closure__ or ())
    for frame in innermost:
        name, local = frame.f_code.co_name, frame.f_locals
        if name in {"__aexit__", "_aexit"}:
            # A task group of asyncio, or of AnyIO.
            found.extend(_futures(inspect.getattr_static(local.get("self"), "_tasks", None)))
        elif name in WAITING and _is_in(frame, ASYNCIO):
            found.extend(_futures(local.get(WAITING[name])))
    return list(dict.fromkeys(task for task in found if isinstance(task, asyncio.Task)))


def _futures(held: object) -> Iterable[object]:
    """Return the items of a collection, or a single future in a list."""
    return held if isinstance(held, (set, list, tuple)) else [held]


def _chain(awaitable: object) -> Iterator[types.FrameType]:
    """Yield the calls from a suspended coroutine inward. `Task.get_stack` ends at the first of them."""
    while True:
        awaitable = _inspectable(awaitable)
        match awaitable:
            case types.CoroutineType():
                frame, awaitable = awaitable.cr_frame, awaitable.cr_await
            case types.GeneratorType():
                frame = awaitable.gi_frame
                awaitable = awaitable.gi_yieldfrom
            case types.AsyncGeneratorType():
                frame, awaitable = awaitable.ag_frame, awaitable.ag_await
            case _:
                return
        if frame is not None:
            yield frame


def _inspectable(awaitable: object) -> object:
    """Return an awaitable with frames: the given one, or the one behind an object of the interpreter."""
    if isinstance(awaitable, SUSPENDED) or type(awaitable).__module__ != "builtins":
        return awaitable
    # Between a coroutine and an asynchronous generator that it iterates there is an object without a word about it, as
    # between a coroutine and its `__await__()`. The garbage collector is shown what it holds.
    for held in gc.get_referents(awaitable):
        # One within another, as in `anext(generator, default)`.
        if isinstance(held, SUSPENDED) or hasattr(type(held), "__await__"):
            return _inspectable(held)
    return None


def _running(coroutine: "types.CoroutineType[Any, Any, Any]") -> list[types.FrameType]:
    """Return the stack of the running coroutine, the outermost call first. In another thread that is one call."""
    frames: list[types.FrameType] = []
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 -- documented, and never None as inspect's may be
    while frame is not None:
        frames.append(frame)
        if frame is coroutine.cr_frame:
            return frames[::-1]
        frame = frame.f_back
    return list(_chain(coroutine))


def _shown(stack: list[types.FrameType]) -> Iterator[str]:
    """Yield the lines of a stack, with a description in place of the kit's own calls."""
    shown: list[types.FrameType] = []
    meaning = None
    for frame in stack:
        meaning = _meaning(frame)
        if meaning is not None:
            break
        if not _is_in(frame, KIT):
            shown.append(frame)
    parts = list(_parts(shown))
    left_out = len(parts) - OUTERMOST - INNERMOST
    if left_out > 0:
        parts[OUTERMOST:-INNERMOST] = [f"{INDENT}... {left_out} more"]
    yield from (line for part in parts for line in part.splitlines())
    if meaning is not None:
        yield meaning


def _parts(stack: list[types.FrameType]) -> Iterator[str]:
    """Yield the calls of a stack, with adjacent library calls as one: the reader looks for the others."""
    has_own = any(library_of(frame) is None for frame in stack)
    for is_own, group in groupby(stack, key=lambda frame: library_of(frame) is None):
        frames = list(group)
        if is_own or not has_own:
            yield from traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames).format()
        else:
            names = ", ".join(dict.fromkeys(filter(None, map(library_of, frames))))
            calls = "1 call" if len(frames) == 1 else f"{len(frames)} calls"
            yield f"{INDENT}... {calls} in {names}, to {_short(frames[-1].f_code.co_qualname)}"


def library_of(frame: types.FrameType) -> str | None:
    """Return the name of the library or standard module of a call, or None for the application."""
    path = Path(frame.f_code.co_filename)
    for place in ("site-packages", "dist-packages"):
        if place in path.parts:
            return Path(path.parts[path.parts.index(place) + 1]).stem
    if path.is_relative_to(PACKAGE):
        return PACKAGE.name
    return Path(path.relative_to(STANDARD).parts[0]).stem if path.is_relative_to(STANDARD) else None


def _meaning(frame: types.FrameType) -> str | None:
    return MEANINGS.get((frame.f_code.co_filename, frame.f_code.co_name))


def _is_in(frame: types.FrameType, directory: str) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(directory)
