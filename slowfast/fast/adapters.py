"""Stacked low-rank paths: E episodes' adapters on one network, in one pass.

One episode's memory is one row of a matrix ``rows`` ``[E, P]``: for every adapted layer a down factor ``[in, r]`` and
an up factor ``[r, out]``, one after the other. So an optimiser step, a snapshot or a reset is one operation on one
tensor, and a layer's factors ``[E, in, r]`` and ``[E, r, out]`` are views of it. Batches are episode-major.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import torch
from torch import nn

Factors = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""For each adapted layer the down factors ``[E, in, r]`` and the up factors ``[E, r, out]``."""

Between = Callable[[torch.Tensor], torch.Tensor]
"""What becomes of the numbers ``[E, n, r]`` between a layer's two factors."""

_attached: WeakSet[nn.Module] = WeakSet()
_attached_lock = threading.Lock()


@dataclass(frozen=True)
class AdapterLayer:
    """One adapted layer: ``kernel`` is None for a linear layer, else the kernel of the convolution it runs beside."""

    name: str
    inputs: int
    outputs: int
    rank: int
    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers in the down and in the up factor of one episode."""
        return self.inputs * self.rank, self.rank * self.outputs


@dataclass(frozen=True)
class AdapterLayout:
    """Which layers are adapted, in which order their factors lie in a row, and the scale of their outputs."""

    layers: tuple[AdapterLayer, ...]
    scale: float

    @classmethod
    def of(cls, network: nn.Module, names: Sequence[str], rank: int, alpha: float) -> AdapterLayout:
        """Paths beside the named layers of ``network``, scaled by ``alpha / rank``; a layer's rank is <= min(in, out).

        Raises ValueError for a name that is not there, and for a layer that has no low-rank path (see :func:`_layer`).
        """
        if rank < 1:
            raise ValueError(f"a memory's rank is at least 1, got {rank}")
        modules = dict(network.named_modules())
        missing = [name for name in names if name not in modules]
        if missing or not names:
            raise ValueError(f"layers to adapt are not in {type(network).__name__}: {missing or 'no layer was named'}")
        return cls(tuple(_layer(name, modules[name], rank) for name in names), alpha / rank)

    @property
    def width(self) -> int:
        """P: numbers in one episode's memory."""
        return sum(sum(layer.sizes) for layer in self.layers)

    def fresh(self, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """Rows without effect, ``float32 [E, P]`` on the CPU: up factors zero, down factors uniform as PEFT draws them.

        Row e is one draw from ``generators[e]``, whatever the others are.
        """
        count = sum(layer.sizes[0] for layer in self.layers)
        draws = [torch.rand(count, generator=generator, dtype=torch.float32) for generator in generators]
        uniform = torch.stack(draws) if draws else torch.zeros(0, count)
        pieces: list[torch.Tensor] = []
        start = 0
        for layer in self.layers:
            down, up = layer.sizes
            bound = 1 / math.sqrt(layer.inputs)  # Kaiming-uniform with a = sqrt(5)
            pieces.append((uniform[:, start : start + down] * 2 - 1) * bound)
            pieces.append(torch.zeros(len(draws), up))
            start += down
        return torch.cat(pieces, 1)

    def factors(self, rows: torch.Tensor) -> Factors:
        """Views of ``rows`` ``[E, P]`` by layer. Their gradient comes back as one concatenation."""
        sizes = [size for layer in self.layers for size in layer.sizes]
        pieces = iter(rows.split(sizes, 1))
        found: Factors = {}
        for layer in self.layers:
            down, up = next(pieces), next(pieces)
            found[layer.name] = (
                down.unflatten(1, (layer.inputs, layer.rank)),
                up.unflatten(1, (layer.rank, layer.outputs)),
            )
        return found

    def delta(self, row: torch.Tensor, name: str) -> torch.Tensor:
        """What one episode's memory (``row`` ``[P]``) adds to the weight of layer ``name``, in that weight's shape."""
        names = [layer.name for layer in self.layers]
        if name not in names:
            raise KeyError(f"no memory on layer {name!r}; adapted are {names}")
        return self.deltas(row)[names.index(name)]

    def deltas(self, row: torch.Tensor) -> list[torch.Tensor]:
        """:meth:`delta` of every layer, in their order."""
        factors, changes = self.factors(row[None]), []
        for layer in self.layers:
            down, up = (factor[0] for factor in factors[layer.name])
            change = (down @ up).T * self.scale  # [out, in]
            changes.append(change if layer.kernel is None else centred(change, layer.kernel))
        return changes


def centred(change: torch.Tensor, kernel: tuple[int, int]) -> torch.Tensor:
    """A 1x1 kernel ``[out, in]`` as a larger one ``[out, in, height, width]`` whose centre alone is non-zero."""
    full = change.new_zeros(*change.shape, *kernel)
    full[:, :, kernel[0] // 2, kernel[1] // 2] = change
    return full


def _layer(name: str, module: nn.Module, rank: int) -> AdapterLayer:
    """A linear layer, or a convolution with an odd kernel, padded to keep its centre in place, in one group."""
    if isinstance(module, nn.Linear):
        smallest = min(module.in_features, module.out_features, rank)
        return AdapterLayer(name, module.in_features, module.out_features, smallest)
    if isinstance(module, nn.Conv2d):
        kernel = (module.kernel_size[0], module.kernel_size[1])
        padding = tuple(step * (size - 1) // 2 for size, step in zip(kernel, module.dilation, strict=True))
        if any(size % 2 == 0 for size in kernel) or module.padding != padding or module.groups != 1:
            raise ValueError(
                f"convolution {name!r} has no centre for a 1x1 path: odd, 'same'-padded, groups=1 is needed"
            )
        smallest = min(module.in_channels, module.out_channels, rank)
        stride = (module.stride[0], module.stride[1])
        return AdapterLayer(name, module.in_channels, module.out_channels, smallest, kernel, stride)
    raise ValueError(f"layer {name!r} is a {type(module).__name__}; a memory attaches to Linear and Conv2d")


class Attachment:
    """The rows that the attached network reads at this moment; :meth:`use` exchanges them."""

    def __init__(self, layout: AdapterLayout, rows: torch.Tensor, between: Between | None = None) -> None:
        self.layout, self.between = layout, between
        self.use(rows)

    def use(self, rows: torch.Tensor) -> None:
        self.rows = rows
        self._factors: dict[torch.dtype, Factors] = {}

    def factors(self, dtype: torch.dtype) -> Factors:
        """The factors in the network's precision, cast once for all layers."""
        if dtype not in self._factors:
            self._factors[dtype] = self.layout.factors(self.rows.to(dtype))
        return self._factors[dtype]


@contextmanager
def attached(
    network: nn.Module, layout: AdapterLayout, rows: torch.Tensor, between: Between | None = None
) -> Iterator[Attachment]:
    """Within the context ``network`` reads ``rows`` ``[E, P]``; before and after it is exactly itself.

    ``between``: what becomes of the numbers between each layer's two factors (None: they are taken as they are). Every
    batch then holds ``k * E`` entries, episode-major. Raises RuntimeError if a memory is attached already (also from
    another thread: the network is shared), ValueError at a forward whose batch does not divide by E.
    """
    handles = []
    with alone(network):
        try:
            attachment = Attachment(layout, rows, between)
            modules = dict(network.named_modules())
            for layer in layout.layers:
                handles.append(modules[layer.name].register_forward_hook(_hook(attachment, layer)))
            yield attachment
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def alone(network: nn.Module) -> Iterator[None]:
    """Within the context no other memory can be attached to ``network``. Raises RuntimeError if one is already."""
    with _attached_lock:
        if network in _attached:
            raise RuntimeError(
                "a memory is attached to this network already: leave the other `attached()` first "
                "(one memory holds many episodes; a second reader at the same time needs its own copy of the network)"
            )
        _attached.add(network)
    try:
        yield
    finally:
        with _attached_lock:
            _attached.discard(network)


def is_attached(network: nn.Module) -> bool:
    """Whether some memory is attached to ``network`` now."""
    with _attached_lock:
        return network in _attached


def _hook(attachment: Attachment, layer: AdapterLayer) -> Any:
    beside = _beside_linear if layer.kernel is None else _beside_convolution

    def hook(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        episodes = len(attachment.rows)
        if inputs[0].shape[0] % episodes:
            raise ValueError(
                f"a batch of {inputs[0].shape[0]} at {layer.name} does not divide among {episodes} episodes of memory; "
                "a batch is episode-major with equally many entries an episode"
            )
        return beside(attachment, layer, inputs[0].to(output.dtype), output)

    return hook


def _beside_linear(attachment: Attachment, layer: AdapterLayer, x: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
    down, up = attachment.factors(output.dtype)[layer.name]
    episodes = len(down)
    hidden = torch.bmm(x.reshape(episodes, -1, layer.inputs), down)
    if attachment.between is not None:
        hidden = attachment.between(hidden)
    stacked = output.reshape(episodes, -1, layer.outputs)
    return torch.baddbmm(stacked, hidden, up, alpha=attachment.layout.scale).view(output.shape)


def _beside_convolution(
    attachment: Attachment, layer: AdapterLayer, x: torch.Tensor, output: torch.Tensor
) -> torch.Tensor:
    # Output pixel i reads input pixel i * stride at the kernel's centre; pixels become the rows of a linear layer.
    centres = x[:, :, :: layer.stride[0], :: layer.stride[1]].permute(0, 2, 3, 1)
    return _beside_linear(attachment, layer, centres, output.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
