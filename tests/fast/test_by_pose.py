"""Kept frames found by where they were seen from: on a line of views, with an odometry that knows what actions do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slowfast.fast import EpisodicMemory, memory_rule
from slowfast.fast.generators import episode_generator, states
from slowfast.fast.reading import generate
from slowfast.heads.odometry import Odometry, OdometryConfig
from slowfast.slow.masked_diffusion import MaskedVideoDiffusion
from slowfast.slow.windows import ActionTensors, Guess, concat_actions, select_actions
from tests.fast.conftest import CHANNELS, CHUNK, CONTEXT, SIDE

LEFT, RIGHT, FORWARD, STAY = range(4)


@pytest.fixture
def reader(slow: MaskedVideoDiffusion) -> MaskedVideoDiffusion:
    """The slow learner, marked as trained to read two recalled frames."""
    config = slow.config
    slow.config = replace(config, recalled=2)
    yield slow
    slow.config = config


@pytest.fixture(scope="module")
def odometry(slow: MaskedVideoDiffusion) -> Odometry:
    """Trained in the test: turns of 90 degrees and steps of 1, told by the action alone."""
    torch.manual_seed(0)
    head = Odometry(OdometryConfig(CHANNELS, slow.unet.time_embed_dim, step=1.0, turn=90.0, width=8))
    for parameter in head.look.parameters():
        torch.nn.init.zeros_(parameter)
    head.look.requires_grad_(False)
    vectors = slow.action_vectors(slow.null_actions(1, 4) | {"move": torch.arange(4)[None]})
    truth = torch.tensor([[0.0, 0, 1], [0, 0, -1], [1, 0, 0], [0, 0, 0]])
    adam = torch.optim.Adam([*head.told.parameters(), *head.answer.parameters()], 1e-2)
    for _ in range(300):
        loss = (head.paces(torch.zeros(1, 4, CHANNELS, SIDE, SIDE), None, vectors) - truth).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return head.requires_grad_(False).eval()


def told(slow: MaskedVideoDiffusion, episodes: int, *moves: int) -> ActionTensors:
    return slow.null_actions(episodes, len(moves)) | {"move": torch.tensor(moves).repeat(episodes, 1)}


def views(episodes: int, *places: int) -> torch.Tensor:
    """A frame of its own for each place and episode."""
    return torch.stack(
        [
            torch.stack(
                [
                    torch.randn(CHANNELS, SIDE, SIDE, generator=torch.Generator().manual_seed(1000 * episode + place))
                    for place in places
                ]
            )
            for episode in range(episodes)
        ]
    )


def memory_of(slow: MaskedVideoDiffusion, odometry: Odometry, episodes: int = 1, **settings: object) -> EpisodicMemory:
    # A random network makes nothing that looks like what was seen.
    rule = memory_rule("retrieval", **{"near": 0.5, "doubt": -1.0, **settings})
    return EpisodicMemory(slow, rule, episodes, 0, CONTEXT, CHUNK, "base", odometry)


def around(slow: MaskedVideoDiffusion, memory: EpisodicMemory, episodes: int = 1) -> None:
    """Four turns to the left: places 0 to 3, and 0 again."""
    memory.append(views(episodes, 0, 1, 2, 3, 0), told(slow, episodes, -1, LEFT, LEFT, LEFT, LEFT))


def shown_frames(monkeypatch: pytest.MonkeyPatch, slow: MaskedVideoDiffusion) -> list[torch.Tensor]:
    """All that the network is shown from now on."""
    shown: list[torch.Tensor] = []
    original = type(slow).generate

    def spy(self: MaskedVideoDiffusion, context: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        shown.append(context)
        return original(self, context, *rest, **named)

    monkeypatch.setattr(type(slow), "generate", spy)
    return shown


def test_an_episode_is_followed_from_its_first_frame(reader: MaskedVideoDiffusion, odometry: Odometry) -> None:
    memory = memory_of(reader, odometry)
    around(reader, memory)
    state = memory.snapshot()
    assert state.bank is not None
    assert state.bank.poses is not None
    assert state.bank.kept.tolist() == [4], "the fifth frame shows the place of the first"
    turns = state.bank.poses[0, :4, 2]
    assert ((turns - torch.tensor([0.0, 90, 180, 270]) + 180) % 360 - 180).abs().max() < 8
    memory.append(views(1, 7), told(reader, 1, FORWARD))
    assert (memory.snapshot().pose[0, :2] - torch.tensor([1.0, 0.0])).abs().max() < 0.15


def test_the_network_is_shown_where_the_step_leads_and_where_it_is(
    reader: MaskedVideoDiffusion, odometry: Odometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, shown = memory_of(reader, odometry), shown_frames(monkeypatch, reader)
    around(reader, memory)
    before = memory.snapshot()
    context, past = views(1, 1, 2, 3, 0), told(reader, 1, LEFT, LEFT, LEFT, LEFT)
    actions = concat_actions([past, told(reader, 1, LEFT, LEFT)])
    made = generate(reader, memory, context, actions, 2, [episode_generator(0, 0)])
    assert (made.shape[1], len(shown)) == (2, 2), "no draft"
    half = views(1, 0, 1, 2, 3).half().float()[0]
    assert torch.equal(shown[0][0, 0], half[1]), "place 1 is where the turn leads"
    assert not any(torch.equal(shown[0][0, 1], half[k]) for k in (0, 3)), "places 0 and 3 are shown anyway"
    assert torch.equal(shown[0][:, 2:], context[:, 2:])
    assert torch.equal(shown[1][0, :2], half[[2, 1]]), "and on it goes"
    assert torch.equal(shown[1][:, 3:], made[:, :1])
    after = memory.snapshot()
    assert (after.bank is before.bank, after.pose is before.pose) == (True, True), "reading writes nothing"


def test_a_view_from_the_very_pose_is_trusted_and_one_from_elsewhere_is_not(
    reader: MaskedVideoDiffusion, odometry: Odometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses: list[Guess | None] = []
    original = type(reader).generate

    def spy(self: MaskedVideoDiffusion, *given: object, guess: Guess | None = None) -> torch.Tensor:
        guesses.append(guess)
        return original(self, *given, guess=guess)

    monkeypatch.setattr(type(reader), "generate", spy)
    context, past = views(1, 1, 2, 3, 0), told(reader, 1, LEFT, LEFT, LEFT, LEFT)

    def guessed(move: int, **settings: float) -> Guess | None:
        memory = memory_of(reader, odometry, near=2.0, **settings)
        around(reader, memory)
        generate(reader, memory, context, concat_actions([past, told(reader, 1, move)]), 1, [episode_generator(0, 0)])
        return guesses.pop()

    there, off = guessed(LEFT, trust=0.4), guessed(FORWARD, trust=0.4)
    assert there is not None
    assert off is not None
    assert torch.equal(there.latents[0, 0], views(1, 1).half().float()[0, 0]), "place 1 is where the turn leads"
    assert 0.25 < float(there.trust) <= 0.4, "as near as an odometry can tell"
    assert float(off.trust) == 0, "a step off every kept view"
    assert 0 < float(guessed(FORWARD, trust=0.4, same=4.0).trust) < 0.4
    assert guessed(LEFT, trust=0.0) is None


def test_a_memory_that_shows_another_picture_of_the_present_place_is_not_believed(
    reader: MaskedVideoDiffusion, odometry: Odometry
) -> None:
    context, past = views(2, 1, 2, 3, 0), told(reader, 2, LEFT, LEFT, LEFT, LEFT)
    actions = concat_actions([past, told(reader, 2, LEFT)])

    def dreamed(memory: EpisodicMemory | None) -> torch.Tensor:
        return generate(reader, memory, context, actions, 1, [episode_generator(0, row) for row in range(2)])

    def exchanged(**settings: float) -> EpisodicMemory:
        memory = memory_of(reader, odometry, 2, **settings)
        around(reader, memory, 2)
        taken = memory.snapshot()
        assert taken.bank is not None
        memory.restore(replace(taken, bank=taken.bank.exchanged(torch.tensor([1, 0]))))
        return memory

    own = memory_of(reader, odometry, 2)
    around(reader, own, 2)
    plain = dreamed(None)
    torch.testing.assert_close(dreamed(exchanged(doubt=0.45)), plain, atol=1e-4, rtol=0)
    assert (dreamed(exchanged()) - plain).abs().max() > 0.1
    assert (dreamed(own) - plain).abs().max() > 0.1


def test_where_nothing_near_was_seen_nothing_is_shown(
    reader: MaskedVideoDiffusion, odometry: Odometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = memory_of(reader, odometry)
    around(reader, memory)
    context, past = views(1, 1, 2, 3, 0), told(reader, 1, LEFT, LEFT, LEFT, LEFT)
    actions = concat_actions([past, told(reader, 1, FORWARD)])
    plain = generate(reader, None, context, actions, 1, [episode_generator(0, 0)])
    assert torch.equal(generate(reader, memory, context, actions, 1, [episode_generator(0, 0)]), plain)
    stranger = views(1, 1, 2, 3, 99)
    turn = concat_actions([past, told(reader, 1, LEFT)])
    plain = generate(reader, None, stranger, turn, 1, [episode_generator(0, 0)])
    read = generate(reader, memory, stranger, turn, 1, [episode_generator(0, 0)])
    assert torch.equal(read, plain), "who does not know where he is asks for nothing"


def test_a_break_is_an_unknown_place_or_one_that_is_recognised(
    reader: MaskedVideoDiffusion, odometry: Odometry
) -> None:
    memory = memory_of(reader, odometry)
    around(reader, memory)
    memory.cut()
    memory.append(views(1, 2, 3), told(reader, 1, -1, LEFT))
    known = memory.snapshot()
    assert abs(float(known.pose[0, 2]) - 270) < 10
    assert known.bank is not None
    assert known.bank.kept.tolist() == [4]
    memory.cut()
    memory.append(views(1, 50), told(reader, 1, -1))
    lost = memory.snapshot()
    assert float(lost.pose[0, 0]) > 500, "far from all that is kept"
    assert lost.bank is not None
    assert lost.bank.kept.tolist() == [5], "and kept as well"
    memory.reset()
    assert not memory.snapshot().pose.any()


@pytest.mark.parametrize("each", [1, 2])
def test_entries_of_a_batch_do_not_touch_each_other(
    reader: MaskedVideoDiffusion, odometry: Odometry, each: int
) -> None:
    both = memory_of(reader, odometry, 2)
    around(reader, both, 2)
    context = views(2, 1, 2, 3, 0).repeat_interleave(each, 0)
    moves = [[LEFT, LEFT], [FORWARD, LEFT]]
    led = told(reader, 2 * each, LEFT, LEFT, LEFT, LEFT, *moves[0])
    led["move"][1::2, CONTEXT:] = torch.tensor(moves[1])
    draw = [episode_generator(0, row) for row in range(2 * each)]
    together = generate(reader, both, context, led, 2, draw)
    for row in range(2 * each):
        alone, kept = memory_of(reader, odometry), both.snapshot()
        episode = row // each
        alone.append(views(2, 0, 1, 2, 3, 0)[episode : episode + 1], told(reader, 1, -1, LEFT, LEFT, LEFT, LEFT))
        own = [episode_generator(0, row)]
        single = generate(reader, alone, context[row : row + 1], select_actions(led, slice(row, row + 1)), 2, own)
        torch.testing.assert_close(single[0], together[row], atol=1e-4, rtol=0)
        assert torch.equal(states(own)[0], states(draw)[row])
        assert kept is not None


def test_each_entry_of_a_batch_is_answered_once(
    reader: MaskedVideoDiffusion, odometry: Odometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = memory_of(reader, odometry, 2)
    around(reader, memory, 2)
    led = told(reader, 2, LEFT, LEFT, LEFT, LEFT, LEFT)
    led["move"][1, CONTEXT:] = FORWARD  # nothing was kept from there
    shown = shown_frames(monkeypatch, reader)
    generate(reader, memory, views(2, 1, 2, 3, 0), led, 1, [episode_generator(0, row) for row in range(2)])
    assert [len(context) for context in shown] == [1, 1]


def test_snapshots_and_files_keep_the_place(reader: MaskedVideoDiffusion, odometry: Odometry, tmp_path: Path) -> None:
    memory = memory_of(reader, odometry)
    around(reader, memory)
    memory.save_state(tmp_path)
    taken = memory.snapshot()
    memory.append(views(1, 7), told(reader, 1, FORWARD))
    memory.restore(taken)
    other = memory_of(reader, odometry)
    other.load_state(tmp_path)
    for state in (memory.snapshot(), other.snapshot()):
        assert torch.equal(state.pose, taken.pose)
        assert state.bank is not None
        assert state.bank.poses is not None
        assert taken.bank is not None
        assert torch.equal(state.bank.poses, taken.bank.poses)


def test_a_rule_may_go_by_likeness_all_the_same(reader: MaskedVideoDiffusion, odometry: Odometry) -> None:
    memory = memory_of(reader, odometry, recall_by="likeness")
    around(reader, memory)
    assert memory.odometry is None
    assert memory.kept().poses is None
    with pytest.raises(ValueError, match="recall_by is pose, likeness, got 'smell'"):
        memory_rule("retrieval", recall_by="smell")
    with pytest.raises(ValueError, match="near is a number of steps"):
        memory_rule("retrieval", near=-1.0)
