"""The recipes of the tabletop world run, on clips with its actions, and end in a world that takes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slowfast.cli import main
from slowfast.datasets.episode import Episode
from slowfast.datasets.store import write_episode
from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.moves import MOVES, action_spec
from slowfast.world_model import WorldModel

SHORT = ["--train.steps", "2", "--train.no-tensorboard", "--task.batch-size", "2", "--task.validation-episodes", "2"]


def test_the_tabletop_recipes_train_a_codec_and_a_world(tmp_path: Path) -> None:
    spec = action_spec(continuous=False, step_metres=0.04)
    random = np.random.default_rng(0)
    for _ in range(6):
        frames = random.integers(0, 256, (25, 16, 16, 3), np.uint8)
        moves = random.integers(0, len(MOVES), 24)
        fps = float(TabletopEnv.metadata["render_fps"])
        write_episode(tmp_path / "data", Episode({"camera": frames}, spec.columns(moves), spec, fps=fps))
    common = ["--data", str(tmp_path / "data"), *SHORT, "--run"]
    sizes = ["--task.validation-frames", "8", "--task.statistics-frames", "8", "--task.pool-frames", "16"]
    assert main(["train", "codec", "--recipe", "tabletop-codec", *common, str(tmp_path / "codec"), *sizes]) == 0
    sizes = ["--task.validation-windows", "4", "--task.horizon-windows", "2", "--codec", str(tmp_path / "codec/model")]
    assert main(["train", "slow", "--recipe", "tabletop", *common, str(tmp_path / "world"), *sizes]) == 0
    world = WorldModel.from_pretrained(tmp_path / "world/model")
    assert world.config.name == "tabletop"
    assert world.action_spec == spec
    assert world.imagine(frames[:2], [0, 4, "move right"], seed=0).shape == (2, 16, 16, 3)
