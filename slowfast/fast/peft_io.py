"""One episode's memory as a PEFT LoRA folder: ``adapter_config.json`` and ``adapter_model.safetensors``.

PEFT writes a factor as ``lora_A [r, in]`` and ``lora_B [out, r]``, the transposes of ours. A path beside a convolution
becomes a LoRA convolution whose kernel is zero but at its centre.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch

from slowfast.fast.adapters import AdapterLayout, centred
from slowfast.fast.files import read_tensors, write_tensors, write_text
from slowfast.fast.rules import RECURSIVE, MemoryRule

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
FORMAT_VERSION = "1"


def save_adapter(folder: str | Path, layout: AdapterLayout, row: torch.Tensor, base_hash: str) -> None:
    """Writes ``row`` ``[P]`` to ``folder``; each file appears whole or not at all."""
    from peft import LoraConfig

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rank = max(layer.rank for layer in layout.layers)
    clamped = {re.escape(layer.name): layer.rank for layer in layout.layers if layer.rank != rank}
    config = LoraConfig(
        r=rank,
        lora_alpha=_number(layout.scale * rank),
        target_modules=[layer.name for layer in layout.layers],
        rank_pattern=clamped,
        alpha_pattern={name: _number(layout.scale * smaller) for name, smaller in clamped.items()},
        lora_dropout=0.0,
        bias="none",
        inference_mode=True,
    ).to_dict()
    config["target_modules"] = sorted(config["target_modules"])  # PEFT holds a set, in no fixed order
    tensors = {}
    for layer in layout.layers:
        down, up = (factor[0].T for factor in layout.factors(row[None])[layer.name])  # [r, in], [out, r]
        if layer.kernel is not None:
            down, up = centred(down, layer.kernel), up[:, :, None, None]
        tensors[_key(layer.name, "A")] = down
        tensors[_key(layer.name, "B")] = up
    # The configuration first: weights that are there are weights that can be read.
    write_text(folder / CONFIG, json.dumps(config, indent=2, sort_keys=True, default=str))
    write_tensors(
        folder / WEIGHTS, tensors, {"format": "pt", "slowfast_adapter": FORMAT_VERSION, "base_hash": base_hash}
    )


def check_loadable(rule: MemoryRule) -> None:
    """Raises ValueError where an adapter alone is not what a memory of ``rule`` learned."""
    if not rule.steps:
        raise ValueError(f"memory rule {rule.name!r} learns in 0 steps and reads no adapter; choose another")
    if rule.optimiser == RECURSIVE:
        said = "needs the sums of its keys beside the adapter: `save_state` writes both, `load_state` reads them"
        raise ValueError(f"memory rule {rule.name!r} {said}")


def load_adapter(folder: str | Path, layout: AdapterLayout, base_hash: str) -> torch.Tensor:
    """The row ``float32 [P]`` (CPU) that :func:`save_adapter` wrote.

    Raises FileNotFoundError where there is none, ValueError if it belongs to other weights, or its layers, ranks or
    scale are not those of ``layout``.
    """
    folder = Path(folder)
    if not (folder / WEIGHTS).is_file() or not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder} holds no adapter: {CONFIG} and {WEIGHTS} were expected")
    tensors, metadata = read_tensors(folder / WEIGHTS)
    if metadata.get("slowfast_adapter") != FORMAT_VERSION:
        raise ValueError(
            f"{folder / WEIGHTS} is not an episode's memory of format {FORMAT_VERSION} "
            f"(it says {metadata.get('slowfast_adapter')!r}); write it with EpisodicMemory.save"
        )
    if metadata.get("base_hash") != base_hash:
        raise ValueError(
            f"{folder} was learned on other weights (base {metadata.get('base_hash')}, this world is {base_hash}): "
            "load the world that it belongs to"
        )
    config = json.loads((folder / CONFIG).read_text())
    scale = config["lora_alpha"] / config["r"]
    if abs(scale - layout.scale) > 1e-6 * layout.scale:
        raise ValueError(f"{folder} scales its output by {scale}, this memory's rule by {layout.scale} (alpha / rank)")
    expected = {_key(layer.name, part) for layer in layout.layers for part in "AB"}
    if expected != tensors.keys():
        raise ValueError(
            f"{folder} adapts other layers than this memory's rule: {sorted(expected ^ tensors.keys())[:4]} differ"
        )
    pieces = []
    for layer in layout.layers:
        down, up = tensors[_key(layer.name, "A")].float(), tensors[_key(layer.name, "B")].float()
        if layer.kernel is not None:
            down, up = down[:, :, layer.kernel[0] // 2, layer.kernel[1] // 2], up[:, :, 0, 0]
        if down.shape != (layer.rank, layer.inputs) or up.shape != (layer.outputs, layer.rank):
            raise ValueError(
                f"{folder}: {layer.name} has factors {tuple(down.shape)} and {tuple(up.shape)}, "
                f"this memory's rule has rank {layer.rank} for {layer.inputs} to {layer.outputs}"
            )
        pieces += [down.T.flatten(), up.T.flatten()]
    return torch.cat(pieces)


def _key(name: str, part: str) -> str:
    return f"base_model.model.{name}.lora_{part}.weight"


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value
