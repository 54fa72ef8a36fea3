"""An instruction head: how it reads words, what it hears and sees, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from slowfast.heads.instruction import InstructionConfig, InstructionHead
from slowfast.heads.words import UNKNOWN, split, vocabulary
from slowfast.world_model import WorldModel

TEXTS = ["Push the red cube to the left side.", "bring the blue cube to the red cube"]


def head(width: int = 48, soon: float = 0.0) -> InstructionHead:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return InstructionHead(InstructionConfig(4, vocabulary(TEXTS), width, soon)).eval()


def frames(batch: int = 2, count: int = 3) -> torch.Tensor:
    return torch.randn(batch, count, 4, 6, 5, generator=torch.Generator().manual_seed(1))


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert split("Push the RED cube, left!") == ["push", "the", "red", "cube", "left"]
    assert vocabulary(["b A", "a c."]) == ("a", "b", "c")
    own = head()
    assert torch.equal(own.read(["push the red cube"]), own.read(["  Push the Red cube.  "]))


def test_unknown_words_count_as_any_word_unless_all_are() -> None:
    own = head()
    numbers = own.read(["push the crimson cube"])
    assert (numbers == UNKNOWN).tolist() == [[False, False, True, False]]
    assert own.words.unknown("push the crimson cube") == ["crimson"]
    with pytest.raises(
        ValueError, match="no word of the instruction 'schieb ihn' is known; this head has learned blue"
    ):
        own.read(["push the cube", "schieb ihn"])
    with pytest.raises(ValueError, match=r"needs words, got ' \.\.\. '"):
        own.read([" ... "])


def test_what_is_told_are_chances_and_their_logarithms() -> None:
    own = head()
    own.slope.fill_(2.0)
    own.offset.fill_(-1.0)
    words = own.read(TEXTS)
    chances = own(frames(), words)
    assert chances.shape == (2, 3)
    torch.testing.assert_close(chances, (2 * own.logits(frames(), words)[..., 0] - 1).sigmoid())
    torch.testing.assert_close(own.log_chances(frames(), words), chances.log())
    own.threshold.fill_(float(chances[0, 1].detach()))
    assert own.done(chances)[0, 1]


def test_how_soon_is_told_by_heads_that_learned_it(tmp_path: Path) -> None:
    own, words = head(soon=0.9), head().read(TEXTS)
    torch.testing.assert_close(own.log_soon(frames(), words).exp(), own.logits(frames(), words)[..., 1].sigmoid())
    own.save_pretrained(tmp_path)
    again = InstructionHead.from_pretrained(tmp_path)
    assert again.config.soon == 0.9
    torch.testing.assert_close(again.log_soon(frames(), words), own.log_soon(frames(), words))
    with pytest.raises(ValueError, match="not how soon"):
        head().log_soon(frames(), words)
    with pytest.raises(ValueError, match="soon is in"):
        InstructionConfig(4, ("go",), soon=1.0)


def test_each_frame_is_judged_by_itself_and_by_its_own_words() -> None:
    own, words = head(), head().read(TEXTS)
    both = own(frames(), words)
    for row in range(2):
        for step in range(3):
            alone = own(frames()[row : row + 1, step : step + 1], own.read([TEXTS[row]]))
            torch.testing.assert_close(alone[0, 0], both[row, step])
    assert not torch.allclose(own(frames(), words.flip(0)), both)


def test_it_hears_the_order_of_words_and_no_padding() -> None:
    own = head()
    one, other = own.words(own.read(["bring the blue cube to the red cube", "bring the red cube to the blue cube"]))
    assert (one - other).abs().max() > 1e-3
    padded = torch.nn.functional.pad(own.read(TEXTS), (0, 5))
    torch.testing.assert_close(own.words(padded), own.words(own.read(TEXTS)))


def test_it_is_small() -> None:
    words = tuple(f"word{number}" for number in range(60))
    size = sum(parameter.numel() for parameter in InstructionHead(InstructionConfig(8, words)).parameters())
    assert 0.1e6 < size < 0.2e6


def test_half_precision_rounds_weights_and_not_what_makes_chances_true(tmp_path: Path) -> None:
    own = head()
    for name, value in (("slope", 1.23456), ("offset", -2.34567), ("threshold", 0.123456)):
        getattr(own, name).fill_(value)
    own.save_pretrained(tmp_path, torch.bfloat16)
    again = InstructionHead.from_pretrained(tmp_path)
    assert again.config == own.config
    for name in ("slope", "offset", "threshold"):
        assert float(getattr(again, name)) == float(getattr(own, name))
    half = again.to(torch.bfloat16)(frames(), again.read(TEXTS))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, own(frames(), own.read(TEXTS)), atol=0.02, rtol=0.1)
    own.save_pretrained(tmp_path)
    same = InstructionHead.from_pretrained(tmp_path)
    torch.testing.assert_close(same(frames(), same.read(TEXTS)), own(frames(), own.read(TEXTS)))


def test_it_is_a_part_of_its_world(tiny_world_folder: Path, tmp_path: Path) -> None:
    world = WorldModel.from_pretrained(tiny_world_folder)
    assert world.instruction is None
    world.instruction = head()
    world.save_pretrained(tmp_path / "world", dtype=None)
    again = WorldModel.from_pretrained(tmp_path / "world")
    assert again.instruction is not None
    for name, own in world.instruction.state_dict().items():
        assert torch.equal(own, again.instruction.state_dict()[name])
    assert not any(parameter.requires_grad for parameter in again.instruction.parameters())
    assert again.base_hash == world.base_hash


@pytest.mark.parametrize("words", [(), ("Red",), ("red cube",), ("",)])
def test_words_that_are_none_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="words"):
        InstructionConfig(4, words)
