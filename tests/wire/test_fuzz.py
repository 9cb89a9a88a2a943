"""A short run of the fuzzer, and its findings for a check that fails on purpose."""

import random
from pathlib import Path

import pytest

from . import fuzz
from .targets import check

SEED = 20_260_101


def test_everything_in_the_corpus_is_read_as_it_has_to_be() -> None:
    inputs = fuzz.seeds()
    assert len(inputs) > 400
    for data in inputs:
        check(data, traced=True)


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    assert fuzz.fuzz(2.0, SEED, tmp_path) is None


def test_a_run_is_the_same_with_the_same_seed() -> None:
    inputs = fuzz.seeds()

    def some(seed: int) -> list[bytes]:
        chance = random.Random(seed)
        return [fuzz.mutated(chance.choice(inputs), inputs, chance) for _ in range(200)]

    assert some(1) == some(1) != some(2)


def fail_for_a_ping(data: bytes, *, traced: bool = False) -> tuple[object, ...]:
    if b"\x89" in data:
        raise ValueError("a bug")
    return (len(data),)


def test_what_is_found_is_written_as_small_as_it_can_be_and_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz, "check", fail_for_a_ping)
    path = fuzz.fuzz(30.0, SEED, tmp_path)
    assert path is not None
    small = path.read_bytes()
    assert len(small) == 2
    assert small.endswith(b"\x89")
    assert f"python -m tests.wire.fuzz {path}" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["fuzz", str(path)])
    with pytest.raises(ValueError, match="a bug"):
        fuzz.main()


def test_an_input_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def spin(data: bytes, *, traced: bool = False) -> tuple[object, ...]:
        while True:
            pass

    monkeypatch.setattr(fuzz, "check", spin)
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    assert isinstance(fuzz.failure(b"\0"), AssertionError)
