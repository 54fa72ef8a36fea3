"""What training reads: held-out episodes, frames in memory, batches, routes of the action, latents, gates, the log."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from slowfast.actions import ActionSpec, Discrete, Language
from slowfast.codecs.identity import codec_hash
from slowfast.codecs.image_vae import ImageVAE, ImageVAEConfig
from slowfast.datasets.episode import DatasetError
from slowfast.training.codec_config import CodecTaskConfig
from slowfast.training.codec_task import CodecTask, crops, psnr
from slowfast.training.config import TrainConfig
from slowfast.training.frames import sample_frames, to_bytes, to_float
from slowfast.training.gate import CodecGate, SlowGate, failures
from slowfast.training.latents import encode, latents_of
from slowfast.training.log import MetricsLog, read_metrics
from slowfast.training.prefetch import Prefetch
from slowfast.training.routes import draw_routes
from slowfast.training.slow_config import SlowTaskConfig
from slowfast.training.splits import open_splits
from slowfast.training.trainer import Trainer

SMALL = ImageVAEConfig(latent_channels=4, widths=(8, 8), norm_groups=4)
SPEC = ActionSpec((Discrete("move", ("turn left", "turn right", "stay")), Language("text", describes="move")))


def test_held_out_episodes_are_never_trained_on(clips: Path) -> None:
    splits = open_splits(clips, validation_episodes=6)
    assert (len(splits.train), len(splits.validation), splits.held_out) == (14, 6, None)
    seeds = [{part.metadata(i)["seed"] for i in range(len(part))} for part in (splits.train, splits.validation)]
    assert seeds[0].isdisjoint(seeds[1])


def test_named_folders_are_the_splits(clips: Path, tmp_path: Path) -> None:
    for name in ("train", "validation", "held_out"):
        (tmp_path / name).symlink_to(clips)
    splits = open_splits(tmp_path, validation_episodes=6)
    assert list(splits.measured) == ["", "held_out_"]
    assert len(splits.train) == len(splits.validation) == 20


def test_frames_are_drawn_evenly_and_without_replacement(clips: Path) -> None:
    train = open_splits(clips, 4).train
    frames = sample_frames(train, 70, seed=3)
    assert frames.shape == (70, 16, 16, 3)
    assert np.array_equal(frames, sample_frames(train, 70, seed=3))
    assert not np.array_equal(frames, sample_frames(train, 70, seed=4))
    assert len(sample_frames(train, 10_000, seed=0)) == int((train.lengths + 1).sum())
    known = {frame.tobytes() for i in range(len(train)) for frame in train.read(i, 0, 25)}
    assert {frame.tobytes() for frame in frames} <= known


def test_frames_survive_the_way_to_floats_and_back() -> None:
    frames = torch.arange(256, dtype=torch.uint8).reshape(1, 8, 32, 1).expand(1, 8, 32, 3)
    assert torch.equal(to_bytes(to_float(frames)), frames)
    assert to_float(frames).min() == -1
    assert to_float(frames).max() == 1


def test_codec_batches_depend_on_seed_and_index_alone(clips: Path) -> None:
    task = CodecTask(ImageVAE.create(SMALL), CodecTaskConfig(batch_size=4, pool_frames=50), clips, seed=1)
    first = task.batch(7)
    task.batch(8)
    assert torch.equal(task.batch(7), first)
    assert not torch.equal(task.batch(8), first)
    frames = task.pool.copy()
    task.batch(9)
    assert np.array_equal(frames, task.pool)


def test_crops_are_squares_out_of_their_frames() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (20, 12, 16, 3), np.uint8)
    cut = crops(frames, 8, np.random.default_rng(1))
    places = set()
    for frame, square in zip(frames, cut, strict=True):
        found = [(y, x) for y in range(5) for x in range(9) if np.array_equal(frame[y : y + 8, x : x + 8], square)]
        assert len(found) == 1
        places.add(found[0])
    assert {y for y, _ in places} == set(range(5))
    assert len(places) > 10


def test_a_crop_larger_than_the_frames_is_refused(clips: Path) -> None:
    with pytest.raises(ValueError, match="crop 32"):
        CodecTask(ImageVAE.create(SMALL), CodecTaskConfig(crop=32, pool_frames=8), clips)


def test_codec_loss_is_the_weighted_sum_of_its_parts(clips: Path) -> None:
    config = CodecTaskConfig(batch_size=4, pool_frames=50, mse=2.0, l1=0.5, edges=0.25, kl=0.125, channels_last=False)
    task = CodecTask(ImageVAE.create(SMALL), config, clips)
    loss, parts = task.loss(task.batch(0), 0)
    expected = 2 * parts["mse"] + 0.5 * parts["l1"] + 0.25 * parts["edges"] + 0.125 * parts["kl"]
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)
    assert float(task.loss(task.batch(0), 0)[0].detach()) == float(loss.detach())


def test_without_a_kl_term_nothing_is_drawn_from_the_posterior(clips: Path) -> None:
    tasks = (
        CodecTask(ImageVAE.create(SMALL), CodecTaskConfig(batch_size=4, pool_frames=50, kl=kl), clips) for kl in (0, 1)
    )
    for task, drawn in zip(tasks, (False, True), strict=True):
        batch = task.batch(0)
        one, other = (float(task.loss(batch, index)[1]["mse"]) for index in (0, 1))
        assert (one != other) is drawn


def test_psnr_averages_errors_first() -> None:
    truth = np.zeros((2, 4, 4, 3), np.uint8)
    other = truth.copy()
    other[0] = 10
    assert psnr(truth, other) == pytest.approx(10 * np.log10(255**2 / 50), abs=1e-4)
    assert psnr(truth, truth) == float("inf")


def test_latents_are_encoded_once_and_refused_from_another_codec(clips: Path, tmp_path: Path) -> None:
    train = open_splits(clips, 4).train
    codec = ImageVAE.create(SMALL).eval()
    latents = latents_of(train, codec, tmp_path)
    assert len(latents) == 16
    assert np.allclose(latents.read(3, 2, 4), encode(codec, train.read(3, 2, 4)), atol=2e-3)
    assert np.array_equal(latents.actions(3)["move"], train.actions(3)["move"])
    codec.encode = None  # type: ignore[assignment,method-assign]
    assert len(latents_of(train, codec, tmp_path)) == 16
    other = ImageVAE.create(SMALL).eval()
    assert codec_hash(other) != codec_hash(codec)
    with pytest.raises(DatasetError, match="another codec"):
        latents_of(train, other, tmp_path)


def test_the_latents_statistics_are_part_of_a_codecs_hash() -> None:
    codec = ImageVAE.create(SMALL)
    before = codec_hash(codec)
    codec.fit_statistics(torch.rand(1, 4, 3, 16, 16))
    assert codec_hash(codec) != before


def test_a_better_decoder_leaves_latents_valid(clips: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = ImageVAE.create(SMALL)
    codec.fit_statistics(torch.rand(1, 4, 3, 16, 16))
    before = {name: weights.clone() for name, weights in codec.vae.state_dict().items()}
    identity, statistics = codec_hash(codec), codec.latent_std.clone()
    task = CodecTask(codec, CodecTaskConfig(batch_size=4, validation_frames=4, decoder_only=True), clips)
    train = TrainConfig(steps=3, learning_rate=1e-2, warmup_steps=0, tensorboard=False)
    Trainer(task, train, tmp_path).train()
    for name, weights in codec.vae.state_dict().items():
        encoding = name.startswith(("encoder.", "quant_conv."))
        assert torch.equal(weights, before[name]) == encoding, name
    saved = ImageVAE.from_pretrained(tmp_path / "model")
    assert codec_hash(codec) == codec_hash(saved) == identity
    assert torch.equal(saved.latent_std, statistics)


def test_windows_show_index_words_both_or_nothing_in_their_shares() -> None:
    columns = SPEC.columns({"move": np.random.default_rng(0).integers(0, 3, (4000, 2))})
    config = SlowTaskConfig(drop_index=0.3, drop_text=0.4, drop_all=0.1)
    shown = draw_routes(SPEC, columns, config, np.random.default_rng(1))
    index, words = shown["move"][:, 0] >= 0, shown["text"][:, 0] != ""
    shares = [np.mean(index & words), np.mean(index & ~words), np.mean(~index & words), np.mean(~index & ~words)]
    assert shares == pytest.approx([0.2, 0.4, 0.3, 0.1], abs=0.03)
    both = index & words
    assert shown["text"][both][0, 0] == SPEC["move"].labels[shown["move"][both][0, 0]]  # type: ignore[union-attr]
    assert (columns["move"] >= 0).all()


def test_the_index_is_not_dropped_where_no_words_carry_the_action() -> None:
    spec = ActionSpec((Discrete("move", ("a", "b")),))
    columns = spec.columns({"move": np.zeros((200, 2), int)})
    config = SlowTaskConfig(drop_index=0.9, drop_text=0.0, drop_all=0.0)
    assert (draw_routes(spec, columns, config, np.random.default_rng(0))["move"] == 0).all()


def test_the_gate_names_every_bar_that_is_missed() -> None:
    assert failures(CodecGate(26.0), {"codec_psnr": 26.0}) == []
    assert failures(CodecGate(), {}) == []
    gate = SlowGate(action_sensitivity=1.0, first_frame_ratio=0.5, chunk_ratio=0.75, shuffled_actions=0.3)
    missed = failures(gate, {"action_sensitivity": float("nan"), "first_frame_ratio": 0.6, "chunk_ratio": 0.7})
    assert [line.split()[0] for line in missed] == ["action_sensitivity", "shuffled_actions", "first_frame_ratio"]


def test_the_log_of_a_continued_run_has_no_step_twice(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0, tensorboard=False)
    for step in (1, 2, 3):
        log.write("train", step, {"loss": float(step)})
    log.close()
    with log.path.open("a") as file:
        file.write('{"kind": "train", "st')  # the process died here
    log = MetricsLog(tmp_path, 2, tensorboard=False)
    log.write("train", 3, {"loss": 30.0})
    log.close()
    assert [(line["step"], line["loss"]) for line in read_metrics(log.path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_prefetching_keeps_order_and_ends_its_thread() -> None:
    before = threading.active_count()
    with Prefetch(lambda index: index * 10, range(100)) as batches:
        assert [next(batches) for _ in range(5)] == [0, 10, 20, 30, 40]
    assert threading.active_count() == before
    with Prefetch(lambda index: index, range(3)) as batches:
        assert list(batches) == [0, 1, 2]


def test_configs_refuse_values_that_cannot_be_meant() -> None:
    with pytest.raises(ValueError, match="shares"):
        SlowTaskConfig(drop_index=0.6, drop_text=0.6)
    with pytest.raises(ValueError, match="batch_size"):
        CodecTaskConfig(batch_size=0)
