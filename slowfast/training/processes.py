"""The processes of a training run, on GPUs or on CPU cores, as accelerate sees them."""

from __future__ import annotations

import torch
from accelerate import PartialState


def on_cpu() -> bool:
    """Whether there is nothing but the CPU to train on. Accelerate has to be told: it takes processes that were started
    together for single ones otherwise, and all of them would write to one folder."""
    return not torch.accelerator.is_available()


def processes() -> PartialState:
    """This process among those that were started together (``torchrun``, ``accelerate launch``)."""
    return PartialState(cpu=on_cpu())
