"""The sentences say what the numbers say, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from slowfast.evaluation.verdicts import headline, percent, recall_table, recall_verdicts, return_verdicts


def comparison(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    interval = {"value": value, "low": low, "high": high}
    return {"reduction": interval, "decibels": {"value": 1.0, "low": 0.5, "high": 1.5}}


def recall(memory: tuple[Any, Any, Any], own: tuple[Any, Any, Any] = (0.3, 0.2, 0.4)) -> dict[str, Any]:
    arm = {"latent": 0.5, "pixel": 900.0, "psnr": 18.0}
    arms = {name: dict(arm) for name in ("on", "off", "other", "repeat", "codec")}
    arms["codec"] |= {"latent": None, "psnr": 26.0}
    arms["off"]["psnr"] = 16.0
    arms["repeat"]["psnr"] = 14.0
    effects = {"memory": memory, "other_memory": (0.05, -0.1, 0.2), "own_memory": own}
    both = {name: {"latent": comparison(*each), "pixel": comparison(*each)} for name, each in effects.items()}
    return {"worlds": 8, "arms": arms, "effects": both}


def test_a_gain_of_the_own_memory_is_said_with_its_interval() -> None:
    measured = recall((0.4, 0.3, 0.5))
    assert headline(measured) == "With its memory, the dream is 40 % closer to what was there"
    said = recall_verdicts(measured)
    assert said[0].startswith("Memory lowers the error of the dreamed lap: −40 % squared error")
    assert "[−50 %, −30 %]" in said[0]
    assert "8 unseen worlds" in said[0]
    assert "closes 20 %" in said[2]


def test_an_interval_that_includes_nothing_is_no_gain() -> None:
    measured = recall((0.1, -0.05, 0.2))
    assert headline(measured) == "Memory does not measurably help here"
    assert "does not measurably change" in recall_verdicts(measured)[0]
    assert not any("closes" in sentence for sentence in recall_verdicts(measured))


def test_a_harm_is_called_a_harm() -> None:
    measured = recall((-0.2, -0.3, -0.1))
    assert "farther" in headline(measured)
    assert recall_verdicts(measured)[0].startswith("Memory raises the error")


def test_a_gain_that_any_memory_gives_is_not_called_remembering() -> None:
    measured = recall((0.4, 0.3, 0.5), own=(0.01, -0.05, 0.06))
    assert "not by remembering" in headline(measured)
    assert "cannot be told from the memory itself" in recall_verdicts(measured)[1]


def test_a_memory_that_diverged_is_said_to_have() -> None:
    assert headline(recall((None, None, None))) == "The memory diverged"


@pytest.mark.parametrize(("repeat", "said"), [(20.0, "Both dreams are worse"), (17.0, "better than the dream without")])
def test_a_baseline_that_wins_is_named(repeat: float, said: str) -> None:
    measured = recall((0.4, 0.3, 0.5))
    measured["arms"]["repeat"]["psnr"] = repeat
    assert said in recall_verdicts(measured)[-1]


def test_a_dream_that_stands_still_gets_a_warning() -> None:
    effects = {"difference": comparison(0.5, 0.4, 0.6), "truth": comparison(0.0, -0.1, 0.1)}
    measured = {"worlds": 8, "effects": effects, "arms": {"on": {"motion": 10.0}, "simulator": {"motion": 100.0}}}
    said = return_verdicts(measured)
    assert said[0].startswith("Memory lowers the squared error by which the later visit of a view differs from the")
    assert "−50 % [−60 %, −40 %], 8 worlds" in said[0]
    assert "does not measurably change" in said[1]
    assert "stands still" in said[2]


def test_two_worlds_are_no_proof() -> None:
    effects = {"difference": comparison(0.5, 0.4, 0.6), "truth": comparison(-0.2, -0.3, -0.1)}
    measured = {"worlds": 2, "effects": effects, "arms": {"on": {"motion": 90.0}, "simulator": {"motion": 100.0}}}
    assert all(sentence.startswith("In these 2 worlds") for sentence in return_verdicts(measured))
    few = recall((0.4, 0.3, 0.5)) | {"worlds": 2}
    assert recall_verdicts(few)[-1] == "2 worlds are few: the intervals over them say little."


def test_small_changes_keep_a_digit() -> None:
    assert (percent(-0.004), percent(0.25), percent(float("nan"))) == ("−0.4 %", "+25 %", "n/a")


def test_the_table_lists_every_arm_once() -> None:
    table = recall_table(recall((0.4, 0.3, 0.5)))
    assert len(table.rows) == 5
    assert len(str(table).splitlines()) == 7
    assert len({len(line) for line in str(table).splitlines()}) == 1
