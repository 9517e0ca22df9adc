"""LPIPS: a line where it cannot be measured, the package's figure where it can."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mdn import metrics
from mdn.metrics import measures

HOW = metrics.PROTOCOLS["float"]


class Distance(torch.nn.Module):
    """Stands in for the package's net: the mean difference of what it is given."""

    def __init__(self, net: str, verbose: bool) -> None:
        assert net == "alex"
        assert not verbose
        super().__init__()

    def forward(self, x: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        assert x.shape == truth.shape
        assert x.shape[:2] == (1, 3)
        assert x.dtype == torch.float32
        return (x - truth).abs().mean().reshape(1, 1, 1, 1)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Packages that are there; the path that AlexNet's weights would have."""
    monkeypatch.setitem(sys.modules, "lpips", SimpleNamespace(LPIPS=Distance, __spec__=True))
    monkeypatch.setitem(sys.modules, "torchvision", SimpleNamespace(__spec__=True))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    measures._lpips_net.cache_clear()
    yield tmp_path / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    measures._lpips_net.cache_clear()


def test_without_the_package_there_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    assert "pip install mdn[lpips]" in metrics.get("lpips").missing()


def test_without_weights_there_is_a_line_and_no_download(installed: Path) -> None:
    line = metrics.get("lpips").missing()
    assert "AlexNet's weights are not at hand" in line
    assert str(installed.parent) in line


@pytest.mark.parametrize("channels", [1, 3])
def test_with_weights_it_is_measured(installed: Path, channels: int) -> None:
    installed.parent.mkdir(parents=True)
    installed.write_bytes(b"weights")
    assert metrics.get("lpips").missing() == ""
    truth = np.full((64, 70, channels), 0.25, np.float32)
    got = metrics.score(truth + np.float32(0.125), truth, ("lpips",), HOW)["lpips"]
    assert got == pytest.approx(0.25)  # the package takes -1..1
    small = truth[:63]
    assert metrics.score(small, small, ("lpips",), HOW)["lpips"] is None
