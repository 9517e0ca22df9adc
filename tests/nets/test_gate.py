"""The gate beside a judge."""

from __future__ import annotations

import pytest
import torch

from mdn.nets.gate import CHOICES, Gate
from mdn.nets.unet import UNet, UNetConfig


def test_cells_count_in_any_order_and_however_often() -> None:
    torch.manual_seed(0)
    gate = Gate(6, 5).eval()
    torch.nn.init.normal_(gate.last.weight)
    seen, descriptor = torch.randn(2, 6, 30), torch.randn(2, 5)
    found = gate(seen, descriptor)
    assert found.shape == (2, len(CHOICES))
    assert found.std() > 0.01
    assert torch.allclose(found, gate(seen.flip(2).repeat(1, 1, 2), descriptor), atol=1e-5)


def test_a_gate_needs_a_judge() -> None:
    with pytest.raises(ValueError, match="judge"):
        UNetConfig(gate=True)
    assert UNet(UNetConfig((8, 12), (1, 1), judge=True, gate=True)).gate is not None
