"""What the table refuses, and what it says when a part of the machine is missing."""

from __future__ import annotations

import pytest

pytest.importorskip("mujoco", reason="Tabletop needs the extra mujoco")

from slowfast.envs.tabletop.camera import Camera
from slowfast.envs.tabletop.env import TabletopEnv
from slowfast.envs.tabletop.moves import STAY
from slowfast.envs.tabletop.simulator import Simulator


@pytest.mark.parametrize(
    ("argument", "value"), [("size", (0, 64)), ("step_metres", 1.0), ("reward", "dense"), ("render_mode", "human")]
)
def test_senseless_arguments_are_refused_by_name(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=argument):
        TabletopEnv(**{argument: value})  # type: ignore[arg-type]


def test_a_step_before_a_reset_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="reset"):
        TabletopEnv().step(STAY)


def test_missing_mujoco_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "mujoco", None)
    with pytest.raises(ImportError, match=r'pip install "slowfast\[mujoco\]"'):
        TabletopEnv()


def test_missing_opengl_says_what_was_tried_and_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slowfast.envs.tabletop.camera._backends", lambda: ["mujoco.no_such_backend"])
    with pytest.raises(RuntimeError, match=r"libegl1[\s\S]*no_such_backend"):
        Camera(Simulator(8, 8).model, 8, 8)
