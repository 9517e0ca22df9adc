"""The gate beside a judge."""

from __future__ import annotations

import pytest
import torch

from mdn.nets.gate import CHOICES, Gate, SecondGate, taken_out
from mdn.nets.judge import Judge, JudgeConfig
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


def test_a_gate_needs_a_judge_and_a_second_one_a_first() -> None:
    with pytest.raises(ValueError, match="judge"):
        UNetConfig(gate=True)
    with pytest.raises(ValueError, match="first"):
        UNetConfig(judge=True, second_gate=True)
    assert UNet(UNetConfig((8, 12), (1, 1), judge=True, gate=True)).gate is not None


def test_the_second_gate_sees_what_each_net_takes_out() -> None:
    torch.manual_seed(0)
    judge = Judge(JudgeConfig(width=12, filters=8, coarse=4))
    picture = torch.rand(2, 3, 48, 64)
    out = taken_out(judge, picture, [picture, torch.zeros_like(picture)])
    assert out.shape[:2] == (2, 36)
    seen = judge.cells(picture).seen
    assert torch.equal(out[:, :12], seen)
    assert torch.equal(out[:, 12:24], judge.cells(torch.full_like(picture, 0.5)).seen)
    assert torch.allclose(out[:, 24:], judge.cells(picture + 0.5).seen)
    gate = SecondGate(12, 5).eval()
    torch.nn.init.normal_(gate.last.weight)
    found = gate(seen, torch.zeros(2, 5), out)
    assert found.shape == (2, len(CHOICES))
    assert not torch.allclose(found, gate(seen, torch.zeros(2, 5), -out))
