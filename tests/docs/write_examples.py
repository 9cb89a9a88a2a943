"""Write the programs of examples/ into the pages that show them: `python -m tests.docs.write_examples`.

A page shows a program in the block below `<!-- example: examples/NAME.py -->`.
"""

import re
from typing import Final

from tests.servers.program import PROJECT

from .blocks import PAGES

_SHOWN: Final = re.compile(
    r"(<!-- example: (?P<path>\S+) -->\n\n```(?P<language>\w+)\n).*?(?<=\n)```$", re.DOTALL | re.MULTILINE
)


def with_examples(text: str) -> str:
    """Return the text of a page with the programs as they are."""
    return _SHOWN.sub(lambda match: f"{match[1]}{(PROJECT / match['path']).read_text(encoding='utf-8')}```", text)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_examples(page.read_text(encoding="utf-8")), encoding="utf-8")
