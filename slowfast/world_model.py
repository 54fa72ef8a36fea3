"""The object that users hold: a codec, a slow learner, and the memories that attach to it.

It composes; the mathematics is in its parts. Frames are ``uint8 [T, H, W, 3]`` or ``[B, T, H, W, 3]`` at this edge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from slowfast.actions import ActionSpec, Columns
from slowfast.codecs import Codec, load_codec
from slowfast.fast import EpisodicMemory, MemoryRule
from slowfast.fast.choosing import chosen_rule
from slowfast.fast.generators import episode_generator
from slowfast.fast.reading import generate
from slowfast.fast.start import FILE as MEMORY_START
from slowfast.fast.start import MemoryStart
from slowfast.heads.instruction import InstructionHead
from slowfast.heads.inverse_dynamics import InverseDynamics, read_video
from slowfast.heads.odometry import Odometry
from slowfast.heads.outcome import OutcomeHead
from slowfast.heads.registry import load_heads, save_heads
from slowfast.model_folder import weights_hash
from slowfast.pixels import from_latents, to_latents, with_batch_axis
from slowfast.slow import load_slow_learner
from slowfast.slow.compiled import compile_network
from slowfast.slow.windows import ActionTensors, concat_actions, select_actions
from slowfast.starts import Starts
from slowfast.world_folder import CONFIG, WorldConfig, find_world, read_config, write_config

if TYPE_CHECKING:
    from slowfast.slow.masked_diffusion import MaskedVideoDiffusion


class WorldModel:
    """A learned world: ``WorldModel.from_pretrained("doom-rooms")``, then :meth:`imagine`, or as an environment.

    ``odometry``, ``outcome``, ``inverse_dynamics``, ``instruction``: its heads on latents, each None where it has none.
    """

    def __init__(
        self,
        config: WorldConfig,
        codec: Codec,
        slow: MaskedVideoDiffusion,
        folder: Path | None = None,
        odometry: Odometry | None = None,
        outcome: OutcomeHead | None = None,
        inverse_dynamics: InverseDynamics | None = None,
        instruction: InstructionHead | None = None,
    ) -> None:
        self.config, self.codec, self.slow, self.folder = config, codec, slow, folder
        self.odometry, self.outcome, self.inverse_dynamics = odometry, outcome, inverse_dynamics
        self.instruction = instruction

    # --- folders -------------------------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        compile: bool = False,
    ) -> WorldModel:
        """A world that ships with the package, by name, or any folder that :meth:`save_pretrained` wrote.

        ``compile``: let ``torch.compile`` compile the network for kinds of calls that come often, which takes minutes
        each and on a CPU a C++ compiler. Raises FileNotFoundError when there is no such world, ValueError when the
        folder is of a newer format.
        """
        folder = find_world(name_or_folder)
        config = read_config(folder)
        codec, slow = load_codec(folder / "vae"), load_slow_learner(folder)
        heads = load_heads(folder)
        for part in (codec, slow, *heads.values()):
            _placed(part, device, dtype)
        world = cls(config, codec, slow, folder, **heads)  # type: ignore[arg-type]  # one class so far
        if compile:
            compile_network(world.slow.unet)
        return world

    @classmethod
    def from_text_to_video(
        cls,
        folder: str | Path,
        spec: ActionSpec,
        frame_size: tuple[int, int],
        context: int = 16,
        chunk: int = 16,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> WorldModel:
        """A text-to-video folder in diffusers' layout (ModelScope's, with ``vae/``) as a world to train on actions.

        Without a prefix and with null actions it generates what the original does. ``frame_size``: (height, width).
        Raises FileNotFoundError for a missing part, ValueError when parts do not fit.
        """
        from slowfast.slow.build import from_text_to_video

        slow, codec = from_text_to_video(folder, spec), load_codec(Path(folder) / "vae")
        if codec.latent_channels != slow.unet.config["in_channels"]:
            raise ValueError(f"{folder}: unet/ does not take the {codec.latent_channels} channels that vae/ makes")
        for part in (codec, slow):
            _placed(part, device, dtype)
        return cls(WorldConfig(Path(folder).resolve().name, frame_size, context, chunk), codec, slow)

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = torch.bfloat16) -> None:
        """Writes ``vae/``, ``unet/``, ``scheduler/``, ``action_encoder/``, a folder for each head that there is, the
        learned start of its memories if it belongs to these weights, and last ``world.json``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        self.codec.save_pretrained(folder / "vae", dtype)
        self.slow.save_pretrained(folder, dtype)
        save_heads(vars(self), folder, dtype)
        if self.folder and self.folder != folder and (self.folder / "starts.safetensors").is_file():
            self.starts.save(folder / "starts.safetensors")
        if self.memory_start is not None and self.memory_start.base_hash == self.base_hash:
            stored = weights_hash(self.slow.state_dict(), dtype)
            replace(self.memory_start, base_hash=stored).save(folder / MEMORY_START)
        write_config(folder, self.config)

    @cached_property
    def base_hash(self) -> str:
        """SHA-256 of the slow learner's weights, as float32; memories and snapshots carry it."""
        return weights_hash(self.slow.state_dict())

    @cached_property
    def starts(self) -> Starts:
        """Validation contexts that ship with the world. Raises FileNotFoundError when there are none."""
        if self.folder is None:
            raise FileNotFoundError("this world was not loaded from a folder, so it has no starts.safetensors")
        return Starts.load(self.folder / "starts.safetensors", self.action_spec)

    @cached_property
    def memory_start(self) -> MemoryStart | None:
        """The first factors that ship with the world for rules with ``start="learned"``; None where there are none."""
        path = self.folder and self.folder / MEMORY_START
        return MemoryStart.load(path) if path and path.is_file() else None

    # --- conversions ---------------------------------------------------------------------------------------------

    @property
    def action_spec(self) -> ActionSpec:
        return self.slow.actions.spec

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """(C, h, w) of one frame's latents."""
        height, width = (side // self.codec.spatial_factor for side in self.config.frame_size)
        return self.codec.latent_channels, height, width

    @property
    def device(self) -> torch.device:
        return self.slow.device

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> torch.Tensor:
        """``uint8 [B, T, H, W, 3]`` to normalised latents ``float32 [B, T, C, h, w]``.

        Pictures of another size are brought to the world's own as its clips were (``fit`` in ``world.json``). Raises
        ValueError for them where the world does not say how.
        """
        return to_latents(self.codec, self.config, frames, self.device)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Latents ``[B, T, C, h, w]`` to ``uint8 [B, T, H, W, 3]``."""
        return from_latents(self.codec, latents)

    def action_tensors(self, columns: Columns) -> ActionTensors:
        """Columns ``[B, T]`` as tensors on the world's device."""
        return self.slow.action_tensors(columns)

    def read_actions(self, frames: np.ndarray, batch: int = 64) -> Columns:
        """The actions that a video shows, read by the world's inverse dynamics, ``batch`` frames at a time.

        ``frames`` ``uint8 [T + 1, H, W, 3]`` or ``[E, T + 1, H, W, 3]``, T >= 1; returns columns ``[T, ...]`` or
        ``[E, T, ...]``. Raises ValueError for other frames, or when the world has no inverse dynamics.
        """
        if self.inverse_dynamics is None:
            raise ValueError(f"{self.config.name!r} has no inverse dynamics: `slowfast train inverse-dynamics` adds it")
        return read_video(self.inverse_dynamics, self.encode, frames, batch)

    # --- memory --------------------------------------------------------------------------------------------------

    def memory_rule(
        self,
        rule: str | Mapping[str, Any] | MemoryRule | None = None,
        every: int | None = None,
        memory: str | None = None,
    ) -> MemoryRule:
        """How a memory of this world learns: its own rule, with ``rule`` over it (a name, settings, or a whole rule);
        if nothing is asked for, the kind that the world is best with.

        ``every``: new frames between two updates. ``memory``: ``temp_lora``, ``retrieval`` or ``hybrid``, or None for
        whatever the rule says; a kind may stand in place of its name. Raises ValueError for what is not known.
        """
        own, usual = self.config.memory, self.config.memory_kind
        return chosen_rule(own, self.slow.recalled, rule, every, memory, usual)

    def new_memory(
        self, episodes: int = 1, seed: int = 0, rule: str | Mapping[str, Any] | MemoryRule | None = None
    ) -> EpisodicMemory:
        """Fresh memories for E episodes. ``rule``: see :meth:`memory_rule`."""
        chosen = self.memory_rule(rule)
        self.memory_layers(chosen.layers)  # opens them, where a kind has to be opened
        sizes, start, inverse = (self.config.context, self.config.chunk), self.memory_start, self.inverse_dynamics
        return EpisodicMemory(self.slow, chosen, episodes, seed, *sizes, self.base_hash, self.odometry, start, inverse)

    def memory_layers(self, kind: str) -> list[str]:
        """Names of the slow learner's layers that a memory may attach to."""
        return self.slow.memory_layers(kind, self.latent_shape)

    def imagine(
        self, frames: np.ndarray, actions: Any, *, memory: EpisodicMemory | None = None, seed: int = 0
    ) -> np.ndarray:
        """The frames that the world expects after ``frames`` when ``actions`` are taken.

        ``frames`` ``uint8 [T, H, W, 3]`` or ``[B, T, H, W, 3]``, T >= 1 (the last f_p are used); ``actions``: the T - 1
        that led through them, then n >= 1 to imagine, in any form that :meth:`ActionSpec.columns` takes. Returns
        ``uint8 [n, H, W, 3]`` or ``[B, n, H, W, 3]``. Reads ``memory`` and never writes it; with E episodes in it,
        B = k * E, episode-major. Raises ValueError when there are not more than T - 1 actions.
        """
        batched, columns = with_batch_axis(self.action_spec, frames, actions)
        past = batched.shape[1] - 1
        future = next(iter(columns.values())).shape[1] - past
        if future < 1:
            raise ValueError(
                f"{batched.shape[1]} frames take {past} past actions and at least one more, got {past + future}"
            )
        latents = self.encode(batched[:, -self.config.context :])
        tensors = self._led_into(columns)
        first = past + 1 - latents.shape[1]
        generators = [episode_generator(seed, episode) for episode in range(len(batched))]
        made = self.imagine_latents(
            latents, select_actions(tensors, (slice(None), slice(first, None))), memory, generators
        )
        result = self.decode(made)
        return result if frames.ndim == 5 else result[0]

    @torch.no_grad()
    def imagine_latents(
        self,
        context: torch.Tensor,
        actions: ActionTensors,
        memory: EpisodicMemory | None,
        generators: Sequence[torch.Generator],
    ) -> torch.Tensor:
        """Chains chunks in latent space: ``context`` ``[B, P, C, h, w]`` to ``[B, n, C, h, w]``.

        ``actions`` ``[B, P + n]``: the action that led into each frame.
        """
        self._check_memory(memory)
        frames = next(iter(actions.values())).shape[1] - context.shape[1]
        chunk, longest = self.config.chunk, self.config.context
        return generate(self.slow, memory, context, actions, frames, generators, chunk=chunk, longest=longest)

    def observe(self, frames: np.ndarray, actions: Any, memory: EpisodicMemory) -> dict[str, torch.Tensor]:
        """Teaches ``memory`` true frames: ``uint8 [T, H, W, 3]`` or ``[E, T, H, W, 3]`` with their T - 1 actions.

        Returns what :meth:`EpisodicMemory.append` returns. Frames that continue what the memory saw last start with a
        frame it has not seen, and then come with T actions. Raises ValueError for any other number of actions.
        """
        self._check_memory(memory)
        batched, columns = with_batch_axis(self.action_spec, frames, actions)
        given = next(iter(columns.values())).shape[1]
        if given == batched.shape[1] - 1:
            tensors = self._led_into(columns)
        elif given == batched.shape[1]:
            tensors = self.action_tensors(columns)
        else:
            count = batched.shape[1]
            raise ValueError(f"{count} frames take {count - 1} actions (or {count}, when they go on), got {given}")
        return memory.append(self.encode(batched), tensors)

    def _check_memory(self, memory: EpisodicMemory | None) -> None:
        if memory is not None and memory.slow is not self.slow:
            raise ValueError(
                "this memory is attached to another world's network; make one with this world's new_memory()"
            )

    def _led_into(self, columns: Columns) -> ActionTensors:
        """Actions ``[B, n]`` shifted to the frames they led into ``[B, n + 1]``; the first is unknown."""
        batch = len(next(iter(columns.values())))
        return concat_actions([self.slow.null_actions(batch, 1), self.action_tensors(columns)])


def _placed(part: object, device: torch.device | str, dtype: torch.dtype) -> None:
    assert isinstance(part, torch.nn.Module)
    part.to(device=device, dtype=dtype).requires_grad_(False).eval()
