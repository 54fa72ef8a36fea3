"""Which compiled code a call takes: the one with the weights as constants, or the one that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from slowfast.slow.compiled import compile_network, either, when_often
from slowfast.slow.prefix import KeptPrefix


class Network:
    """A layer, and what its calls took."""

    def __init__(self, device: str = "cpu") -> None:
        self.layer = nn.Linear(2, 2, device=device).eval()
        self.call = either(self.layer, lambda: "ordinary", lambda: "constant")

    def took(self) -> str:
        with torch.no_grad():
            return str(self.call())


def test_the_networks_own_weights_are_constants_while_nothing_learns_or_remembers() -> None:
    network = Network()
    assert network.took() == "constant"
    assert network.call() == "ordinary"  # gradients are on
    for hook in (network.layer.register_forward_hook, network.layer.register_forward_pre_hook):
        memory = hook(lambda *_: None)
        assert network.took() == "ordinary"
        memory.remove()
        assert network.took() == "constant"
    network.layer.train()
    assert network.took() == "ordinary"


@pytest.mark.parametrize("change", ["in place", "another tensor", "another precision"])
def test_changed_weights_are_read(change: str) -> None:
    network = Network()
    assert network.took() == "constant"
    with torch.no_grad():
        if change == "in place":
            network.layer.weight.mul_(2)
        elif change == "another tensor":
            network.layer.weight = nn.Parameter(network.layer.weight.clone())
        else:
            network.layer.to(torch.bfloat16)
    assert network.took() == "ordinary"


def test_other_devices_read_their_weights() -> None:
    assert Network("meta").took() == "ordinary"


def test_weights_whose_changes_nobody_counts_are_read() -> None:
    with torch.inference_mode():
        network = Network()
    assert network.took() == "ordinary"


class Doubled(nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_no_network_gets_what_was_compiled_for_another_or_with_other_weights() -> None:
    compiled = 0

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        nonlocal compiled
        compiled += 1
        return graph

    x, networks = torch.ones(1, 2), [Doubled(2, 1).eval() for _ in range(2)]
    for network in networks:
        compile_network(network, rare=0, backend=backend)

    def compiled_after_calls() -> int:
        with torch.no_grad():
            for network in (*networks, *networks):
                assert torch.equal(network(x), 2 * (x @ network.weight.T + network.bias))
        return compiled

    assert compiled_after_calls() == 2
    with torch.no_grad():
        networks[0].weight.mul_(2)
    assert compiled_after_calls() == 3


def test_rare_kinds_of_calls_are_not_compiled() -> None:
    call = when_often(lambda *_, **__: "plain", lambda *_, **__: "compiled", rare=2)
    short, long, kept = torch.ones(1, 2), torch.ones(1, 4), KeptPrefix(3)
    assert [call(long) for _ in range(4)] == ["plain", "plain", "compiled", "compiled"]
    assert [call(short), call(long, kept=kept)] == ["plain", "plain"]  # kinds of their own
    kept.full = True
    assert [call(long, kept=kept) for _ in range(3)] == ["plain", "plain", "compiled"]
