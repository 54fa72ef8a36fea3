"""``slowfast train``: from clips to a codec to a world, with the recipes that ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slowfast.cli import main
from slowfast.cli._mappings import on_one_line
from slowfast.datasets.store import Store
from slowfast.training.checkpoint import checkpoints
from slowfast.training.log import read_metrics
from slowfast.world_model import WorldModel

SHORT = ["--train.steps", "2", "--train.no-tensorboard"]
SWAP = ["--task.swap", "{turn left: turn right, turn right: turn left}"]


@pytest.fixture(scope="module")
def codec(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A codec of the tiny recipe, trained for some steps."""
    run = tmp_path_factory.mktemp("codec")
    arguments = ["train", "codec", "--recipe", "tiny-codec", "--data", str(clips), "--run", str(run)]
    assert main([*arguments, "--train.steps", "30", "--train.log-every", "5", "--train.no-tensorboard"]) == 0
    return run


@pytest.fixture(scope="module")
def world(clips: Path, codec: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world of the tiny recipe, hardly trained."""
    run = tmp_path_factory.mktemp("slow")
    arguments = ["train", "slow", "--recipe", "tiny", "--data", str(clips), "--codec", str(codec / "model")]
    assert main([*arguments, "--run", str(run), *SHORT, *SWAP]) == 0
    return run


def test_a_codec_run_leaves_model_sheets_log_and_config(codec: Path) -> None:
    parts = {".lock", "checkpoints", "config.yaml", "metrics.jsonl", "model", "sheets"}
    assert {path.name for path in codec.iterdir()} == parts
    figures = [line for line in read_metrics(codec / "metrics.jsonl") if line["kind"] == "validation"][-1]
    assert figures["codec_psnr"] > 8
    assert (codec / "model/config.json").is_file()
    assert list((codec / "sheets").glob("codec-*.png"))


def test_the_codec_learns(codec: Path) -> None:
    lines = [line["mse"] for line in read_metrics(codec / "metrics.jsonl") if line["kind"] == "train"]
    assert lines[-1] < 0.9 * lines[0]


def test_the_saved_config_is_a_recipe_and_a_finished_run_is_left_alone(codec: Path, clips: Path) -> None:
    before = checkpoints(codec / "checkpoints")[-1].stat().st_mtime_ns
    assert main(["train", "codec", "--recipe", str(codec / "config.yaml")]) == 0
    assert checkpoints(codec / "checkpoints")[-1].stat().st_mtime_ns == before
    assert main(["train", "codec", "--recipe", str(codec / "config.yaml"), "--resume", "never"]) == 2


def test_a_missed_gate_ends_with_status_1(codec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "codec", "--recipe", str(codec / "config.yaml"), "--gate.codec-psnr", "99"]) == 1
    assert "gate failed: codec_psnr is" in capsys.readouterr().out


def test_a_finished_run_is_exported_with_the_settings_that_it_has_now(world: Path) -> None:
    weights = (world / "model/unet/diffusion_pytorch_model.safetensors").read_bytes()
    recipe = str(world / "config.yaml")
    for rule in ({"name": "ancestor", "steps": 3}, WorldModel.from_pretrained(world / "model").config.memory):
        main(["train", "slow", "--recipe", recipe, "--memory", on_one_line(rule)])
        assert WorldModel.from_pretrained(world / "model").config.memory == rule
    assert (world / "model/unet/diffusion_pytorch_model.safetensors").read_bytes() == weights


def test_a_slow_run_leaves_a_world_that_imagines(world: Path, clips: Path) -> None:
    loaded = WorldModel.from_pretrained(world / "model")
    store = Store(clips)
    frames = loaded.imagine(store.frames(0, 0, 3), [0, 1, 1, 0], seed=1)
    assert frames.shape == (2, 16, 16, 3)
    assert frames.dtype == np.uint8
    assert loaded.config.name == "tiny"
    assert loaded.config.fps == 10.0


def test_a_slow_run_reports_everything_the_gate_may_ask_for(world: Path) -> None:
    figures = [line for line in read_metrics(world / "metrics.jsonl") if line["kind"] == "validation"][-1]
    wanted = {"loss", "first_frame_ratio", "chunk_ratio", "codec_psnr", "repeat_psnr", "action_sensitivity"}
    wanted |= {"shuffled_actions", "text_action_sensitivity", "text_shuffled_actions", "horizon_psnr"}
    assert wanted <= figures.keys()
    assert list((world / "sheets").glob("chunk-*.png"))


def test_a_slow_run_continues_where_it_stood(world: Path) -> None:
    arguments = ["train", "slow", "--recipe", str(world / "config.yaml"), "--train.steps", "3", "--task.horizon", "0"]
    assert main(arguments) == 0
    assert [line["step"] for line in read_metrics(world / "metrics.jsonl") if line["kind"] == "train"] == [2, 3]


def test_a_trained_world_takes_a_new_action_space(world: Path, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    renamed_clips(data)
    arguments = ["train", "slow", "--recipe", "tiny", "--init", str(world / "model"), "--data", str(data)]
    assert main([*arguments, "--run", str(run), *SHORT, "--task.horizon", "0", "--train.learning-rate", "0"]) == 0
    old, new = WorldModel.from_pretrained(world / "model"), WorldModel.from_pretrained(run / "model")
    assert [c.name for c in new.action_spec.components] == ["drive"]
    for name, tensor in old.slow.unet.state_dict().items():
        assert np.allclose(new.slow.unet.state_dict()[name], tensor, atol=1e-6), name


def test_a_trained_world_can_learn_to_look_further_back(world: Path, clips: Path, tmp_path: Path) -> None:
    arguments = ["train", "slow", "--recipe", "tiny", "--init", str(world / "model"), "--data", str(clips), *SHORT]
    arguments += ["--context", "4", "--task.shapes", "4", "2", "1.0", "2", "2", "1.0", "--task.horizon", "0"]
    assert main([*arguments, "--run", str(tmp_path)]) == 0
    longer = WorldModel.from_pretrained(tmp_path / "model")
    assert (longer.config.context, longer.slow.config.window) == (4, 6)
    frames = np.zeros((5, *longer.config.frame_size, 3), np.uint8)
    assert len(longer.imagine(frames, [0] * 6)) == 2


@pytest.mark.parametrize("recipe", [f"doom-rooms{part}{n}" for n in ("", "-2", "-3", "-4") for part in ("-codec", "")])
def test_the_large_recipes_run(recipe: str, clips: Path, codec: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    if recipe in ("doom-rooms-2", "doom-rooms-3", "doom-rooms-4"):
        assert run_recipe("doom-rooms", clips, codec, first) == 1
    assert run_recipe(recipe, clips, codec, tmp_path / "run", first / "model") == 1  # two steps do not pass the gate


def run_recipe(recipe: str, clips: Path, codec: Path, run: Path, first: Path | None = None) -> int:
    verb = "codec" if "codec" in recipe else "slow"
    arguments = ["train", verb, "--recipe", recipe, "--data", str(clips), "--run", str(run), *SHORT]
    arguments += ["--task.batch-size", "2", "--task.validation-episodes", "4"]
    if verb == "slow":
        arguments += ["--codec", str(codec / "model"), "--task.validation-windows", "4", "--task.horizon-windows", "2"]
    else:
        arguments += ["--task.validation-frames", "8", "--task.statistics-frames", "8", "--task.pool-frames", "16"]
    if recipe.endswith(("-2", "-3", "-4")):
        arguments += ["--start", str(codec / "model")] if verb == "codec" else ["--init", str(first)]
    return main(arguments)


def test_a_run_needs_a_codec_or_a_world_to_start_from(clips: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "slow", "--data", str(clips)]) == 2
    assert "slowfast train codec" in capsys.readouterr().err


def renamed_clips(folder: Path) -> None:
    from slowfast.actions import ActionSpec, Discrete
    from slowfast.datasets.episode import Episode
    from slowfast.datasets.store import write_episode

    spec = ActionSpec((Discrete("drive", ("back", "ahead")),))
    random = np.random.default_rng(0)
    for _ in range(3):
        frames = random.integers(0, 256, (13, 16, 16, 3), np.uint8)
        write_episode(folder, Episode({"view": frames}, spec.columns(random.integers(0, 2, 12)), spec, fps=5.0))
