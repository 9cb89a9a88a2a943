"""The mutations fit the package: what `make mutations` runs for an hour does not rot meanwhile."""

import asgi_ws

from .mutations import rows_by_area
from .servers.program import PROJECT


def test_each_mutation_changes_a_text_that_its_file_has_once() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (PROJECT / asgi_ws.__name__).rglob("*.py")}
    misfits = [
        f"{area}: {row.name}: {row.file}"
        for area, rows in rows_by_area().items()
        for row in rows
        if texts.get(PROJECT / asgi_ws.__name__ / row.file, "").count(row.old) != 1
    ]
    assert not misfits, "\n".join(misfits)


def test_each_mutation_names_tests_that_are_there() -> None:
    named = {test.partition("::")[0] for rows in rows_by_area().values() for row in rows for test in row.tests.split()}
    assert {path for path in named if not (PROJECT / path).exists()} == set()
