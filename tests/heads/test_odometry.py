"""An odometry: shapes, units, what it may look at, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slowfast.heads.odometry import Odometry, OdometryConfig


@pytest.fixture
def head() -> Odometry:
    torch.manual_seed(0)
    return Odometry(OdometryConfig(channels=4, action_width=6, step=2.0, turn=30.0, width=8)).eval()


def steps(batch: int = 2, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    before, after = torch.randn(2, batch, count, 4, 6, 5, generator=generator).unbind(0)
    return before, after, torch.randn(batch, count, 6, generator=generator)


def test_units_are_those_of_the_world(head: Odometry) -> None:
    motion, paces = head(*steps()), head.paces(*steps())
    assert motion.shape == (2, 3, 3)
    torch.testing.assert_close(motion, paces * torch.tensor([2.0, 2.0, 30.0]))
    torch.testing.assert_close(head.in_paces(motion), paces)


def test_what_is_not_to_be_seen_does_not_matter(head: Odometry) -> None:
    before, after, actions = steps()
    seen = torch.tensor([[True, False, True], [False, True, False]])
    told = head.paces(before, after, actions, seen)
    torch.testing.assert_close(told[seen], head.paces(before, after, actions)[seen])
    torch.testing.assert_close(told[~seen], head.paces(before, None, actions)[~seen])
    assert not torch.allclose(head.paces(before, None, actions), head.paces(before, after, actions))


def test_a_folder_brings_back_the_same_odometry(head: Odometry, tmp_path: Path) -> None:
    head.save_pretrained(tmp_path)
    torch.testing.assert_close(Odometry.from_pretrained(tmp_path)(*steps()), head(*steps()))
    head.save_pretrained(tmp_path, torch.bfloat16)
    assert Odometry.from_pretrained(tmp_path).config == head.config
    with pytest.raises(FileNotFoundError):
        Odometry.from_pretrained(tmp_path / "nothing")
