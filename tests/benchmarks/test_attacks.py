"""The attacks of one client, run shortly: the table is there, and names whom it measured."""

import pytest

from benchmarks import attacks


def test_an_attack_prints_what_it_cost_each_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert attacks.main(["--only", "1,000 tasks", "--seconds", "0.2"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "sends that returned" in printed
    for name in attacks.CLASSES:
        assert f"{name} " in printed


def test_an_attack_that_has_no_such_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        attacks.main(["--only", "smurf"])
    assert "no attack has 'smurf' in its name" in capsys.readouterr().err
