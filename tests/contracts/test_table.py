"""The committed table is the one that the tests observe: each cell is compared where it is seen, the rest here."""

from . import matrix


def test_the_committed_table_has_each_row_that_a_test_observes_and_no_other() -> None:
    titles = [title for titles in matrix.rows().values() for title in titles]
    assert list(matrix.read()) == titles, matrix.HOW_TO_WRITE


def test_the_committed_table_is_written_as_the_command_writes_it() -> None:
    table, separator, versions = matrix.committed().partition("\nObserved with ")
    assert table == matrix.render(matrix.read()), matrix.HOW_TO_WRITE
    assert separator
    assert versions
