"""Count what makes prose hard to read: `python -m tests.words [--show]`, over docstrings, comments and documentation.

Three patterns are counted: sentences that open with a pronoun such as What or Who, a negated noun ("no token"
instead of "not a token"), and docstrings of functions that do not open with an imperative verb. ruff's D401 finds
other forms of a verb; this finds noun phrases.
"""

import argparse
import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]
CODE: Final = ("asgi_ws", "benchmarks", "examples", "tests")
PAGES: Final = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs")

PRONOUN: Final = re.compile(r"(?:^|[.:!?]\s+|\n\n)(?:What|Who|Whose|Whoever|Whatever|That which)\b(?![^.!?]*\?)")
NEGATED_NOUN: Final = re.compile(r"(?<![Tt]here )\b(?:is|are|was|were)\s+no\b(?! (?:longer|more than|less|later))")
# Of the first word of a docstring.
NOUN_PHRASE: Final = re.compile(
    r"The|An?|What|Whether|How|Who|Whose|Why|Where|When|Which|One|All|Each|Every|Some|Its?|They|Those|These|That|This|No"
    r"|Nothing|Nobody|Never|Neither|As|At|Of|By|In|On|For|From|To|With|Without|So|Also|Only|More|Most|Several"
    r"|\w*[^s]s|[A-Z]{2,}\w*|[^A-Z].*"
)
# Fenced blocks, tables, indented lines and quotations are not prose.
_NOT_PROSE: Final = re.compile(r"^```.*?^```$|^\|.*?$|^<!--.*?-->$|^    .*?$|\"[^\"\n]*\"", re.MULTILINE | re.DOTALL)


class Text(NamedTuple):
    """A docstring, a comment or a page. `opens_function` is true for the docstring of a function, not of a property."""

    place: str
    text: str
    opens_function: bool = False


def docstrings(path: Path, source: str) -> Iterator[Text]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                line = node.body[0].lineno
                is_function = not isinstance(node, ast.Module | ast.ClassDef) and not any(
                    "property" in ast.unparse(decorator) for decorator in node.decorator_list
                )
                yield Text(f"{path}:{line}", text, is_function)


def comments(path: Path, source: str) -> Iterator[Text]:
    """Yield each run of comment lines as one text."""
    lines: list[str] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if lines and token.start[0] != last + 1:
            yield Text(f"{path}:{last}", "\n".join(lines))
            lines = []
        last = token.start[0]
        lines.append(token.string.lstrip("#: "))
    if lines:
        yield Text(f"{path}:{last}", "\n".join(lines))


def texts(folder: str) -> Iterator[Text]:
    root = ROOT / folder
    for path in [root] if root.is_file() else sorted(root.rglob("*")):
        name = path.relative_to(ROOT)
        if path.suffix == ".py":
            source = path.read_text(encoding="utf-8")
            yield from docstrings(name, source)
            yield from comments(name, source)
        elif path.suffix == ".md":
            yield Text(str(name), _NOT_PROSE.sub("", path.read_text(encoding="utf-8")))


def faults(text: Text) -> Iterator[str]:
    """Yield each place that breaks a rule, as `file:line: rule: the words`."""
    for name, rule in (("opens with a pronoun", PRONOUN), ("negates the noun", NEGATED_NOUN)):
        for match in rule.finditer(text.text):
            words = " ".join(text.text[match.start() :].lstrip(".:!? \n").split()[:8])
            yield f"{text.place}: {name}: {words}"
    if text.opens_function and NOUN_PHRASE.fullmatch(text.text.split()[0].rstrip(".,:;")):
        yield f"{text.place}: does not open with a verb: {text.text.splitlines()[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print each place")
    parser.add_argument("folders", nargs="*", default=[*CODE, *PAGES])
    options = parser.parse_args()
    print(f"{'':20}{'words':>8}{'pronouns':>10}{'negated':>9}{'not a verb':>12}   (the first two in a thousand words)")
    for folder in options.folders:
        found = list(texts(folder))
        words = sum(len(text.text.split()) for text in found) or 1
        all_faults = [fault for text in found for fault in faults(text)]
        counts = [sum(f": {rule}" in fault for fault in all_faults) for rule in ("opens", "negates", "does not")]
        print(f"{folder:20}{words:8}{counts[0] / words * 1000:10.2f}{counts[1] / words * 1000:9.2f}{counts[2]:12}")
        if options.show:
            print(*all_faults, sep="\n")


if __name__ == "__main__":
    main()
