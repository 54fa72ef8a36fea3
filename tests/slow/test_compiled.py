"""Which compiled code a call takes: the one with the weights as constants, or the one that reads them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from slowfast.slow.compiled import either


class Network:
    """A layer, and what its calls took."""

    def __init__(self, device: str = "cpu") -> None:
        self.layer, self.memory = nn.Linear(2, 2, device=device), False
        self.call = either(self.layer, lambda: "ordinary", lambda: "constant", lambda: self.memory)

    def took(self) -> str:
        with torch.no_grad():
            return str(self.call())


def test_the_networks_own_weights_are_constants_while_nothing_learns_or_remembers() -> None:
    network = Network()
    assert network.took() == "constant"
    assert network.call() == "ordinary"  # gradients are on
    network.memory = True
    assert network.took() == "ordinary"
    network.memory = False
    assert network.took() == "constant"


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
