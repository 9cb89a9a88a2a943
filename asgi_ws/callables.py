"""Look at callables where they are written, so that one that cannot work does not wait for the first connection."""

import inspect
import sys
from collections.abc import Callable
from contextlib import aclosing, asynccontextmanager
from enum import Enum
from functools import partial
from importlib import import_module
from types import FunctionType
from typing import Any, Final, cast


class Kind(Enum):
    """A callable by what a call of it gives."""

    AWAITABLE = "async"
    """Something to await."""
    VALUE = "plain"
    """Not something to await: a plain `def`."""
    GENERATOR = "yields"
    """A generator or an asynchronous generator."""
    UNKNOWN = "unknown"
    """This cannot be seen: a lambda, a class, a function of an extension module."""


def kind_of(function: Any, *, is_through_wrappers: bool = True) -> Kind:
    """Return what a call gives, as far as that can be seen without one.

    Args:
        function: a function or a method, a `functools.partial`, a staticmethod, an instance with `__call__`.
        is_through_wrappers: whether a plain function made with `functools.wraps` passes on what the wrapped one gives.
    """
    if inspect.iscoroutinefunction(function):
        return Kind.AWAITABLE
    if isinstance(function, FunctionType):
        return _kind_of_function(function, is_through_wrappers=is_through_wrappers)
    inner = function.func if isinstance(function, partial) else getattr(function, "__func__", None)
    if inner is None and is_through_wrappers:
        inner = getattr(function, "__wrapped__", None)
    if inner is None and not inspect.isclass(function):
        inner = getattr(type(function), "__call__", None)  # noqa: B004 -- its own kind is asked for
        if not isinstance(inner, FunctionType):
            return Kind.UNKNOWN
    return Kind.UNKNOWN if inner is None else kind_of(inner, is_through_wrappers=is_through_wrappers)


def _kind_of_function(function: FunctionType, *, is_through_wrappers: bool) -> Kind:
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return Kind.GENERATOR
    if is_through_wrappers and hasattr(function, "__wrapped__"):
        return kind_of(inspect.unwrap(function))
    return Kind.UNKNOWN if function.__name__ == "<lambda>" else Kind.VALUE


# Python 3.14 evaluates annotations when it is asked for a signature, and fails at names that only type checkers import.
_ANNOTATIONS_AS_WRITTEN: Final[dict[str, Any]] = (
    {"annotation_format": import_module("annotationlib").Format.STRING} if sys.version_info >= (3, 14) else {}
)


def signature_of(function: Callable[..., Any], *, follow_wrapped: bool = True) -> inspect.Signature:
    """Return the signature of a callable, whether or not its annotations can be evaluated.

    Raises:
        TypeError, ValueError: as `inspect.signature`.
    """
    return inspect.signature(function, follow_wrapped=follow_wrapped, **_ANNOTATIONS_AS_WRITTEN)


# The function that `@asynccontextmanager` makes of any other.
_CONTEXT_MAKER: Final = cast("FunctionType", asynccontextmanager(cast("Any", aclosing))).__code__


def misfit(function: Callable[..., Any], *arguments: str) -> str | None:
    """Return why this cannot be called with these arguments, given by position; None if it can, or nobody can see."""
    # Any other wrapper made with `functools.wraps` may take other arguments than the wrapped function.
    is_passing_on = getattr(function, "__code__", None) is _CONTEXT_MAKER
    try:
        signature = signature_of(function, follow_wrapped=is_passing_on)
    except (TypeError, ValueError) as error:
        # A callable of an extension module may have no signature; a method without `self` has an impossible one.
        return str(error) if inspect.ismethod(function) else None
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return f"is called with ({', '.join(arguments)}): {error}"
    return None


def has_plain(cls: type, name: str) -> bool:
    """Return True unless an attribute of a class is a descriptor of an unknown kind, which gives what it likes."""
    static = inspect.getattr_static(cls, name)
    return isinstance(static, FunctionType | staticmethod | classmethod) or not hasattr(static, "__get__")


def method_misfit(cls: type, name: str, *arguments: str) -> str | None:
    """Return why a method cannot be called with these arguments on an instance, as `misfit` does."""
    is_bound_later = isinstance(inspect.getattr_static(cls, name), FunctionType)
    return misfit(getattr(cls, name), *(("self",) if is_bound_later else ()), *arguments)
