"""A network compiled for dreaming: its weights become constants, which lets the compiler lay them out for the CPU.

What is compiled so cannot know other weights, so it serves only what reads the network's own: calls without gradients
and without hooks, through which a memory is read. All others go through ordinary compilation, which takes weights as
they come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from types import FunctionType
from typing import Any

import torch
from torch import nn

from slowfast.slow.attention import constant_weights
from slowfast.slow.prefix import KeptPrefix

RARE = 8
"""Calls of one kind that are not worth minutes of compiling: a dream's first frames, while its context grows."""
CONSTANT = {"freezing": True, "cpp_wrapper": True}
"""Inductor's settings: weights as packed constants, and calls from C++ where Python takes longer than small layers."""


def compile_network(network: nn.Module, rare: int = RARE, **options: Any) -> None:
    """Calls of ``network`` run compiled code from now on; each kind compiles after ``rare`` calls, for minutes.

    A kind is the shapes of its tensors, and with a kept prefix what is kept yet. ``options``: for
    ``torch.compile``.
    """
    # A memory hooks layers after compilation, so the compiled code has to look at hooks on every call.
    torch._dynamo.config.skip_nnmodule_hook_guards = False
    network.compile(**options)
    # What `either` looks at, compiled code need not look at again, which would take a tenth of the whole call.
    unguarded = {"guard_filter_fn": torch.compiler.skip_guard_on_all_nn_modules_unsafe}
    options["options"] = {**options.get("options", {}), **unguarded}
    constant = torch.compile(_in_code_of_its_own(network), **options)

    def with_constants(*args: Any, **kwargs: Any) -> Any:
        with torch._inductor.config.patch(CONSTANT), constant_weights():
            return constant(*args, **kwargs)

    ordinary = network._compiled_call_impl  # where nn.Module looks for compiled code
    assert ordinary is not None
    network._compiled_call_impl = when_often(network._call_impl, either(network, ordinary, with_constants), rare)


def when_often(plain: Callable[..., Any], compiled: Callable[..., Any], rare: int) -> Callable[..., Any]:
    """``plain`` for the first ``rare`` calls of each kind, ``compiled`` for later ones."""
    seen: Counter[Hashable] = Counter()

    def call(*args: Any, **kwargs: Any) -> Any:
        kind = tuple(_kind(argument) for argument in (*args, *kwargs.values()))
        seen[kind] += 1
        return (compiled if seen[kind] > rare else plain)(*args, **kwargs)

    return call


def _kind(argument: Any) -> Hashable:
    """What compiled code of a call depends on."""
    if isinstance(argument, torch.Tensor):
        return argument.shape
    if isinstance(argument, KeptPrefix):
        return argument.frames, argument.full, argument.entering
    if isinstance(argument, bool):
        return argument
    return type(argument).__qualname__


def _in_code_of_its_own(network: nn.Module) -> Callable[..., Any]:
    """What is compiled is kept with the code that was compiled; without guards, another network with the same code
    would get this one's weights."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return network._call_impl(*args, **kwargs)

    code = call.__code__.replace(co_name=f"call_{id(network)}")
    return FunctionType(code, call.__globals__, closure=call.__closure__)


def either(network: nn.Module, ordinary: Callable[..., Any], constant: Callable[..., Any]) -> Callable[..., Any]:
    """``constant`` while the network on a CPU has the weights of its first call, is in eval mode without hooks and
    records no gradients; else ``ordinary``. Weights that were made in inference mode are always read."""
    # Walking through the modules on every call would take longer than some of their layers.
    modules = list(network.modules())
    places = [(module._parameters, name) for module in modules for name in module._parameters]
    first: list[tuple[nn.Parameter, int, int]] = []

    def call(*args: Any, **kwargs: Any) -> Any:
        if torch.is_grad_enabled() or any(m._forward_hooks or m._forward_pre_hooks or m.training for m in modules):
            return ordinary(*args, **kwargs)
        weights = [weight for own, name in places if (weight := own[name]) is not None]
        if weights[0].device.type != "cpu" or weights[0].is_inference():  # of those nobody counts the changes
            return ordinary(*args, **kwargs)
        stamps = [(weight, weight._version, weight.data_ptr()) for weight in weights]
        first[:] = first or stamps
        same = all(a is b and m == n and p == q for (a, m, p), (b, n, q) in zip(stamps, first, strict=True))
        return constant(*args, **kwargs) if same else ordinary(*args, **kwargs)

    return call
