"""The recall benchmark: what is asked, what the context may hold, controls that cannot know, scores, and resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from slowfast.cli import main
from slowfast.evaluation.features import EfficientNetLite0
from slowfast.evaluation.recall import benchmark
from slowfast.evaluation.recall.arms import NONE, OTHER, RESET, SHUFFLED, Source, dream, show, sources
from slowfast.evaluation.recall.benchmark import CODEC, REPEAT, Walked, answer, judge
from slowfast.evaluation.recall.places import BEYOND, FAR, IN_CONTEXT, JUST_BEYOND, curve, places
from slowfast.evaluation.recall.returning import FROZEN, SIMULATOR
from slowfast.evaluation.recall.scores import Judge
from slowfast.evaluation.recall.summary import summary
from slowfast.evaluation.recall.teaching import shuffled, teach
from slowfast.evaluation.recall.walks import record_walk, standard_walks
from slowfast.evaluation.tours import rooms
from slowfast.fast import memory_rule
from slowfast.world_model import WorldModel

TURN = 45.0
WORLDS = 3
RULES = {"mine": memory_rule("ancestor", steps=2, learning_rate=1e-2, rank=4), "paper": memory_rule("paper", rank=4)}


@pytest.fixture(scope="module")
def world(rooms_world_folder: Path) -> WorldModel:
    return WorldModel.from_pretrained(rooms_world_folder)


@pytest.fixture(scope="module")
def walks(world: WorldModel) -> list[Walked]:
    env = rooms("slowfast/DoomRooms-v0", world.config.frame_size, world.action_spec, {"turn_degrees": TURN})
    seeds = range(2_000_000, 2_000_060)
    recorded = [Walked(walk.name, record_walk(env, seeds, WORLDS, walk)) for walk in standard_walks(TURN, 2)]
    env.close()
    return recorded


def test_walks_end_where_they_began_and_ask_only_for_what_was_seen(walks: list[Walked]) -> None:
    assert [walk.name for walk in walks] == ["circle", "out and back", "circle elsewhere"]
    for walk in walks:
        for asked in walk.asked:
            assert np.array_equal(asked.tours.poses[:, 0], asked.tours.poses[:, asked.seen])
            gaps = asked.gaps
            assert (gaps > 0).all()
            for row, column in np.ndindex(gaps.shape):
                later = asked.seen + 1 + column
                assert np.array_equal(
                    asked.tours.frames[row, later], asked.tours.frames[row, later - gaps[row, column]]
                )


def test_queries_of_a_walk_share_what_was_seen(walks: list[Walked]) -> None:
    back, on = walks[0].asked
    assert (back.name, on.name) == ("turn back", "turn on")
    assert np.array_equal(back.tours.frames[:, : back.seen + 1], on.tours.frames[:, : on.seen + 1])
    assert not np.array_equal(back.truth[:, 0], on.truth[:, 0])
    assert (on.gaps == 8).all()
    assert back.gaps[0].tolist() == [2, 4, 6, 8]


@pytest.mark.parametrize(("context", "chunk"), [(2, 2), (4, 4), (4, 2), (3, 1)])
def test_the_context_holds_no_answer_that_counts_as_beyond_it(walks: list[Walked], context: int, chunk: int) -> None:
    found = set()
    for walk in walks:
        for asked in walk.asked:
            held = asked.in_context(context, chunk)
            for row, column in np.ndindex(held.shape):
                start = column // chunk * chunk
                shown = asked.tours.frames[row, asked.seen + 1 - max(context - start, 0) : asked.seen + 1]
                answer = asked.truth[row, column]
                assert any(np.array_equal(frame, answer) for frame in shown) or not held[row, column]
                if not held[row, column]:
                    poses = asked.tours.poses[row, asked.seen + 1 - max(context - start, 0) : asked.seen + 1]
                    assert not (poses == asked.tours.poses[row, asked.seen + 1 + column]).all(-1).any()
                found.add(bool(held[row, column]))
    assert found == {True, False}


def test_each_frame_has_one_place_and_one_bin(walks: list[Walked]) -> None:
    asked = [query for walk in walks for query in walk.asked]
    gaps = np.concatenate([query.gaps for query in asked], 1)
    held = np.concatenate([query.in_context(2, 2) for query in asked], 1)
    by_name = {place.name: place.frames for place in places(gaps, held)}
    assert list(by_name) == [IN_CONTEXT, JUST_BEYOND, FAR, BEYOND]
    assert (sum(by_name[name].astype(int) for name in (IN_CONTEXT, JUST_BEYOND, FAR)) == 1).all()
    assert np.array_equal(by_name[BEYOND], ~held)
    bins = curve(gaps, held)
    assert (sum(place.frames.astype(int) for place in bins) == 1).all()
    assert bins[0].name == IN_CONTEXT


def test_sources_are_no_memory_the_rules_and_the_controls_of_one() -> None:
    found = sources(RULES, "mine")
    assert [source.arm for source in found] == [NONE, "mine", "paper", RESET, SHUFFLED]
    assert [source.exchanged for source in found] == [False, True, False, False, False]
    assert all(source.rule == RULES["mine"] for source in found[3:])


def test_a_memory_that_is_reset_keeps_its_last_update_alone(world: WorldModel, walks: list[Walked]) -> None:
    shown = show(world, walks[0].asked, 0)
    kept, forgot = (world.new_memory(WORLDS, 0, RULES["mine"]) for _ in range(2))
    teach(kept, shown.latents, shown.actions)
    taught = teach(forgot, shown.latents, shown.actions, forget=True)
    assert taught.updates == 4
    assert int(kept.steps.max()) == 8
    assert int(forgot.steps.max()) == 2
    assert not torch.equal(kept.snapshot().rows, forgot.snapshot().rows)


def test_shuffling_keeps_the_frames_and_loses_their_order() -> None:
    frames = torch.arange(24.0).view(2, 12, 1)
    mixed = shuffled(frames, 3)
    assert torch.equal(mixed.sort(1).values, frames)
    assert not torch.equal(mixed, frames)
    assert not torch.equal(mixed[0] % 12, mixed[1] % 12)  # an order of its own
    assert torch.equal(mixed, shuffled(frames, 3))


def test_all_sources_start_from_the_same_noise_whatever_the_group(world: WorldModel, walks: list[Walked]) -> None:
    whole = dream(world, show(world, walks[0].asked, 0), Source(NONE), 7)[0]["turn on"][NONE]
    last = dream(world, show(world, walks[0].group(slice(2, 3)), 2), Source(NONE), 7)[0]["turn on"][NONE]
    torch.testing.assert_close(whole[2:], last, rtol=1e-4, atol=1e-4)
    found, _ = dream(world, show(world, walks[0].asked, 0), Source("mine", RULES["mine"], exchanged=True), 7)
    arms = found["turn on"]
    assert list(arms) == ["mine", OTHER]
    assert not torch.equal(arms["mine"], arms[OTHER])


def test_another_world_of_the_same_codec_can_be_a_rival(world: WorldModel, walks: list[Walked], tmp_path: Path) -> None:
    world.save_pretrained(tmp_path)
    longer = WorldModel.from_pretrained(tmp_path)
    longer.config = replace(longer.config, context=world.config.context + 2)
    longer.slow.widen(longer.config.context + longer.config.chunk)
    shown = show(world, walks[0].asked, 0)
    own, other = (dream(world, shown, Source(NONE, world=one), 7)[0]["turn on"][NONE] for one in (None, longer))
    assert own.shape == other.shape
    assert not torch.equal(own, other)  # it looks further back
    cast(torch.nn.Module, longer.codec).latent_mean.add_(1)
    with pytest.raises(ValueError, match="another codec"):
        dream(world, shown, Source("longer", world=longer), 7)


def test_the_truth_is_its_own_right_view_and_another_worlds_is_not(walks: list[Walked]) -> None:
    asked = walks[0].asked[1]
    judged = Judge(asked, EfficientNetLite0.from_package(32), TURN)
    latents = torch.zeros(WORLDS, asked.frames, 1, 2, 2)
    truth = judged.scores(asked.truth, latents, latents)
    assert truth.right.all()
    assert np.allclose(truth.ssim, 1)
    assert np.allclose(truth.feature, 0, atol=1e-5)
    assert not truth.pixel.any()
    assert not truth.latent.any()
    other = judged.scores(np.roll(asked.truth, 1, 0), None, latents)
    assert not other.right.any()
    assert np.isnan(other.latent).all()
    next_view = judged.scores(np.roll(asked.truth, 1, 1), None, latents)
    assert next_view.right.all()  # within one view
    two_off = judged.scores(np.roll(asked.truth, 2, 1), None, latents)
    assert not two_off.right.any()
    assert judged.chance == pytest.approx(3 / (WORLDS * asked.frames))


def test_answers_are_kept_and_taken_up_again(
    world: WorldModel, walks: list[Walked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = sources(RULES, "mine")
    first = answer(world, walks[:1], chosen, 5, 2, tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == len(chosen) * 2  # groups of two worlds and of one

    def never(*_: object) -> None:
        raise AssertionError("dreamed again")

    monkeypatch.setattr(benchmark, "dream", never)
    again = answer(world, walks[:1], chosen, 5, 2, tmp_path)
    for query, arms in first.latents["circle"].items():
        assert list(arms) == [NONE, "mine", OTHER, "paper", RESET, SHUFFLED]
        for arm, latents in arms.items():
            assert torch.equal(latents, again.latents["circle"][query][arm])
            assert len(latents) == WORLDS
    assert first.facts == again.facts
    assert first.facts["circle"]["mine"]["updates"] == 4

    result = summary(judge(world, walks[:1], again, TURN))
    arms = result["places"][BEYOND]["arms"]
    assert set(arms) == {CODEC, REPEAT, NONE, "mine", OTHER, "paper", RESET, SHUFFLED}
    assert arms[NONE]["against_none"]["reduction"]["value"] == 0
    assert arms[CODEC]["latent"] is None
    assert set(result["curve"]["latent"]) == set(arms) - {CODEC}


def test_the_verb_writes_figures_and_a_picture_and_refuses_other_settings(
    rooms_world_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["recall", "--world", str(rooms_world_folder), "--out", str(tmp_path), "--worlds", "2", "--group", "2"]
    arguments += ["--walks", "circle", "--seed", "4"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "just beyond" in said
    assert OTHER in said
    result = json.loads((tmp_path / "recall.json").read_text())
    assert result["rules"]["memory (ancestor)"]["steps"] == 2
    assert result["seen"] == {"circle": 16}
    assert set(result["return"]["arms"]) == {SIMULATOR, NONE, "memory (ancestor)", "paper", FROZEN}
    assert "scene revisit consistency" in said
    assert (tmp_path / "recall.png").stat().st_size > 10_000
    before = (tmp_path / "recall.json").read_bytes()
    assert main(arguments) == 0  # judges and draws again
    assert json.loads(before)["places"] == json.loads((tmp_path / "recall.json").read_text())["places"]
    assert main([*arguments, "--seed", "5"]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert main(["recall", "--world", str(rooms_world_folder), "--out", str(tmp_path / "b"), "--walks", "cirle"]) == 2
    assert "circle" in capsys.readouterr().err
