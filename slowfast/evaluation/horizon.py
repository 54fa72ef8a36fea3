"""Many chunks ahead: how errors grow while the world goes on from its own frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slowfast.evaluation.one_chunk import TrueWindows, decibels, imagined, squared_errors, swapped_actions
from slowfast.world_model import WorldModel


@dataclass(frozen=True)
class HorizonErrors:
    """``psnr``: one value a new frame, in dB of averaged squared errors. ``swapped_rise``: relative rise of the error
    of the last quarter of the frames when the actions are swapped all along; near 0, the dream no longer listens."""

    psnr: list[float]
    swapped_rise: float

    @property
    def late_psnr(self) -> float:
        """Mean over the last quarter."""
        late = self.psnr[-max(len(self.psnr) // 4, 1) :]
        return sum(late) / len(late)


def horizon_errors(
    world: WorldModel, truth: TrueWindows, swap: Mapping[str, str], seed: int = 0, batch: int = 64
) -> HorizonErrors:
    """Dreams all new frames of ``truth`` in a chain, with the true actions and, if there is a ``swap``, wrong ones."""
    errors = squared_errors(imagined(world, truth, truth.actions, seed, batch), truth.new)
    curve = [decibels(errors[:, step]) for step in range(errors.shape[1])]
    rise = float("nan")
    if swap:
        _, actions = swapped_actions(world.action_spec, truth, swap)
        wrong = squared_errors(imagined(world, truth, actions, seed, batch), truth.new)
        late = max(errors.shape[1] // 4, 1)
        rise = float(wrong[:, -late:].mean() / max(float(errors[:, -late:].mean()), 1e-12)) - 1
    return HorizonErrors(curve, rise)
