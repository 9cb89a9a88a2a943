"""The rules of words in CONTRIBUTING.md that a script can check."""

import pytest

from .words import CODE, PAGES, faults, texts


@pytest.mark.parametrize("folder", [*CODE, *PAGES])
def test_sentences_name_their_subject_negate_the_verb_and_docstrings_open_with_a_verb(folder: str) -> None:
    found = list(texts(folder))
    assert found
    assert [fault for text in found for fault in faults(text)] == []
