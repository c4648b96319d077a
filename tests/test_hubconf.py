"""The networks by torch.hub, from this folder."""

from __future__ import annotations

import torch

from alexnet.models.network import Network
from support.places import ROOT


def test_networks_by_name() -> None:
    network = torch.hub.load(str(ROOT), "lenet5", source="local", num_classes=3)
    assert isinstance(network, Network)
    assert network.architecture.num_classes == 3
