"""A network compiled for dreaming: its weights become constants, which lets the compiler lay them out for the CPU.

What is compiled so cannot know other weights, so it serves only what reads the network's own: calls without gradients
and without a memory in the layers. All others go through ordinary compilation, which takes weights as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

CONSTANT = {"freezing": True, "cpp_wrapper": True}
"""Inductor's settings: weights as packed constants, and calls from C++ where Python takes longer than small layers."""


def compile_network(network: nn.Module, reads_memory: Callable[[], bool], **options: Any) -> None:
    """Calls of ``network`` run compiled code from now on; each kind of call compiles on its first, for minutes.

    ``reads_memory``: whether a memory is in the network's layers at this moment. ``options``: for ``torch.compile``.
    """
    # A memory hooks layers after compilation, so the compiled code has to look at hooks on every call.
    torch._dynamo.config.skip_nnmodule_hook_guards = False
    network.compile(**options)
    constant = torch.compile(network._call_impl, **options)

    def with_constants(*args: Any, **kwargs: Any) -> Any:
        with torch._inductor.config.patch(CONSTANT):
            return constant(*args, **kwargs)

    ordinary = network._compiled_call_impl  # where nn.Module looks for compiled code
    assert ordinary is not None
    network._compiled_call_impl = either(network, ordinary, with_constants, reads_memory)


def either(
    network: nn.Module, ordinary: Callable[..., Any], constant: Callable[..., Any], reads_memory: Callable[[], bool]
) -> Callable[..., Any]:
    """``constant`` while the network on a CPU has the weights of its first call, records no gradients and reads no
    memory; else ``ordinary``. Weights that were made in inference mode are always read."""
    # Walking through the modules on every call would take longer than some of their layers.
    places = [(module._parameters, name) for module in network.modules() for name in module._parameters]
    first: list[tuple[int, int]] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() or reads_memory():
            return ordinary(*args, **kwargs)
        weights = [weight for own, name in places if (weight := own[name]) is not None]
        if weights[0].device.type != "cpu" or weights[0].is_inference():  # of those nobody counts the changes
            return ordinary(*args, **kwargs)
        stamps = [(weight.data_ptr(), weight._version) for weight in weights]
        if stamps != (first or stamps):
            return ordinary(*args, **kwargs)
        first[:] = stamps
        return constant(*args, **kwargs)

    return call
