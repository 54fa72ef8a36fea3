"""The model card: the picture of left and right, and training facts that lead to the same world again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import model_card
import numpy as np
import pytest
import training_facts
from PIL import Image

from slowfast import config as configs
from slowfast.cli.train.codec import TrainCodec
from slowfast.cli.train.slow import TrainSlow
from slowfast.world_model import WorldModel


@pytest.fixture(scope="module")
def picture(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    path = tmp_path_factory.mktemp("card") / "left_right.png"
    model_card.draw_left_and_right(WorldModel.from_pretrained(small_world), path)
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_left_and_right_begin_with_the_same_frame_and_part(picture: np.ndarray) -> None:
    cell, gap, top = 32, 4, 15 + 3 * 4
    left = picture.shape[1] - 7 * (cell + gap)

    def frame(row: int, column: int) -> np.ndarray:
        y, x = top + row * (cell + gap), left + column * (cell + gap)
        return picture[y : y + cell, x : x + cell]

    for row in range(1, 4):
        assert np.array_equal(frame(row, 0), frame(0, 0))
    assert np.abs(frame(0, 3) - frame(2, 3)).mean() > 5  # the truth to the left is not the truth to the right
    assert np.abs(frame(0, 1) - frame(0, 0)).mean() > 1


def write_run(folder: Path, config: TrainCodec | TrainSlow, steps: int, processes: int = 1) -> Path:
    configs.save(config, folder / "config.yaml")
    checkpoint = folder / f"checkpoints/step-{steps:08d}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text(json.dumps({"random": [{}] * processes}), encoding="utf-8")
    return folder


def test_facts_name_the_recipe_and_every_option_that_departs_from_it(tmp_path: Path) -> None:
    codec = configs.load(TrainCodec, "doom-rooms-codec", {"data": str(tmp_path), "run": "elsewhere"})
    changes = {"data": str(tmp_path), "codec": "x/model", "train.steps": 9000, "task.prefix_noise": 0.25}
    slow = configs.load(TrainSlow, "doom-rooms", changes)
    (tmp_path / "ignored").mkdir()
    facts = training_facts.training_facts(
        write_run(tmp_path / "runs/a", codec, 400), write_run(tmp_path / "runs/b", slow, 8000)
    )
    assert [run["recipe"] for run in facts["runs"]] == ["doom-rooms-codec", "doom-rooms"]
    assert facts["runs"][0]["options"] == []
    assert facts["runs"][0]["steps"] == 400
    assert facts["runs"][0]["validation"] == {}
    assert facts["runs"][1]["options"] == ["--task.prefix-noise 0.25", "--train.steps 9000"]
    text = training_facts.training_text({**facts, "data": {}})
    assert f"slowfast train codec --recipe doom-rooms-codec --data data/{tmp_path.name}\n" in text
    assert str(tmp_path) not in text


def test_the_last_validation_stands_beside_a_run(tmp_path: Path) -> None:
    codec = configs.load(TrainCodec, "doom-rooms-codec", {"data": str(tmp_path)})
    slow = configs.load(TrainSlow, "doom-rooms", {"data": str(tmp_path), "codec": "x"})
    runs = [write_run(tmp_path / "doom-rooms-codec", codec, 4), write_run(tmp_path / "doom-rooms", slow, 4)]
    first, between = {"kind": "validation", "step": 2, "codec_psnr": 20.0}, {"kind": "train", "step": 3, "loss": 1.0}
    logged = [
        [first, between, {"kind": "validation", "step": 4, "codec_psnr": 26.25, "held_out_codec_psnr": 25.5}],
        [{"kind": "validation", "step": 4, "codec_psnr": 26.0, "first_frame_ratio": 0.421}],
    ]
    for run, entries in zip(runs, logged, strict=True):
        (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, entries)) + "\n")
    text = training_facts.training_text({**training_facts.training_facts(*runs), "data": {}})
    assert "| 26.25 dB (held-out textures 25.50 dB) |" in text
    assert "| first frame 0.42 |" in text


def test_a_second_stage_stands_after_the_first_with_what_it_starts_from(tmp_path: Path) -> None:
    start = {"data": str(tmp_path), "start": "somewhere/vae", "model.patch": 4}
    codec = configs.load(TrainCodec, "doom-rooms-codec-2", start)
    begin = {"data": str(tmp_path), "init": "doom-rooms", "codec": "elsewhere", "unet.widths": [8, 8]}
    slow = configs.load(TrainSlow, "doom-rooms-2", begin)
    runs = [write_run(tmp_path / "a", codec, 40), write_run(tmp_path / "b", slow, 60, processes=2)]
    first = [
        {"part": part, "recipe": recipe, "data": "d", "options": [], "steps": 1}
        | {"batch_size": 1, "processes": 1, "precision": "no"}
        for part, recipe in (("codec", "doom-rooms-codec"), ("slow", "doom-rooms"))
    ]
    facts = training_facts.training_facts(runs[0], runs[1], earlier={"runs": first, "data": {"d": {}}})
    assert list(facts["data"]) == ["d", tmp_path.name]
    assert [run["recipe"] for run in facts["runs"]] == list(training_facts.RECIPES)[:4]
    assert [run["batch_size"] for run in facts["runs"]] == [1, 1, 32, 16]
    assert [run["options"] for run in facts["runs"]] == [[]] * 4  # what a network is made of is read from the first
    text = training_facts.training_text({**facts, "data": {}})
    assert "torchrun --nproc-per-node 2 --no-python -- \\\n    slowfast train slow --recipe doom-rooms-2" in text
    assert "--init runs/doom-rooms/model --codec runs/doom-rooms-codec-2/model" in text


def test_a_run_is_of_the_recipe_that_its_folder_is_named_after(tmp_path: Path) -> None:
    changes = {"data": str(tmp_path), "start": "somewhere/vae", "train.steps": 3}
    codec = configs.load(TrainCodec, "doom-rooms-codec-2", changes)
    begin = {"data": str(tmp_path), "init": "doom-rooms", "codec": "elsewhere"}
    slow = configs.load(TrainSlow, "doom-rooms-3", begin)
    runs = [write_run(tmp_path / "doom-rooms-codec-3", codec, 3), write_run(tmp_path / "doom-rooms-3", slow, 60)]
    facts = training_facts.training_facts(*runs)
    assert [run["recipe"] for run in facts["runs"]] == ["doom-rooms-codec-3", "doom-rooms-3"]
    assert "--train.steps 3" in facts["runs"][0]["options"]


def test_options_read_back_to_the_same_config(tmp_path: Path) -> None:
    from slowfast.cli._main import _parse
    from slowfast.cli._verbs import find

    changes = {
        "data": "d",
        "task.swap": {"turn left": "stay", "turn right": "turn left"},
        "task.shapes": [[2, 2, 1.0], [0, 4, 0.5]],
        "train.tensorboard": False,
        "train.learning_rate": 3e-4,
        "codec": "c",
    }
    config = configs.load(TrainSlow, "doom-rooms", changes)
    words = shlex.split(" ".join(training_facts.options(config, "doom-rooms")))
    verb, rest = find(["train", "slow", "--recipe", "doom-rooms", "--data", "d", "--codec", "c", *words])
    assert verb is not None
    assert _parse(verb, TrainSlow, rest) == config
