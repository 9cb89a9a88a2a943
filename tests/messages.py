"""List every message of the package: `python -m tests.messages` writes tests/messages.txt.

The list has the templates of errors and log lines by module. A change of a message shows in the list as well, so it is
read once more beside its neighbours.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "asgi_ws"
TABLE: Final = Path(__file__).with_name("messages.txt")
_LOGGED: Final = frozenset({"debug", "info", "warning", "error", "exception", "log"})


def template(node: ast.expr) -> str | None:
    """Return the text of a string or an f-string with its fields in braces, or None for another expression."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=value):
            return f"{{{ast.unparse(value)}}}"
        case ast.JoinedStr(values=parts):
            return "".join(filter(None, map(template, parts)))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (template(left) or f"{{{ast.unparse(left)}}}") + (template(right) or f"{{{ast.unparse(right)}}}")
        case ast.IfExp(body=body, orelse=orelse):
            return " | ".join(filter(None, (template(body), template(orelse))))
    return None


def messages_of(module: Path) -> Iterator[tuple[str, str]]:
    """Yield the kind and the template of each message: the error raised, the log level, or the class of a `__str__`."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        match node:
            case ast.Raise(exc=ast.Call(func=error, args=args, keywords=keywords)):
                kind, found = ast.unparse(error), [*args, *(keyword.value for keyword in keywords)]
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=args) if level in _LOGGED and ast.unparse(
                logger
            ).endswith("logger"):
                kind, found = level, args
            case ast.ClassDef(name=name, body=body):
                methods = [each for each in body if isinstance(each, ast.FunctionDef) and each.name == "__str__"]
                returned = [each for method in methods for each in ast.walk(method) if isinstance(each, ast.Return)]
                kind, found = name, [each.value for each in returned if each.value is not None]
            case _:
                continue
        for text in filter(None, map(template, found)):
            if " " in text:
                yield kind, text


def table() -> str:
    """Return the list: a line for each module, and below it one for each message."""
    lines = []
    for module in sorted(PACKAGE.rglob("*.py")):
        if messages := sorted(set(messages_of(module))):
            lines.append(f"# {module.relative_to(PACKAGE)}")
            lines += [f"{kind}: {text}".replace("\n", "\\n") for kind, text in messages]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
