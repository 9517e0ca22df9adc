"""Weights between those of two trainings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mdn import nets
from mdn.errors import UsageError
from mdn.registry.cards import read_card
from mdn.registry.model import load, pack, write_card
from mdn.training.average import average

SHAPE = {"widths": (4, 8), "blocks": (1, 1), "noise_conditioned": True}


def model(folder: Path, seed: int, **config: object) -> Path:
    """A model of random weights."""
    torch.manual_seed(seed)
    net = nets.build("unet", SHAPE | config)
    torch.nn.init.normal_(net.tail.weight)
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(pack(net, "unet", net.state_dict()))
    about = {"name": f"seed-{seed}", "training_data": "none", "scores": {"set": {"row": 1.0}}}
    write_card(folder, net, "unet", "weights.safetensors", about)
    return folder


def numbers(folder: Path) -> np.ndarray:
    """All weights of a model, in one row."""
    net = load(read_card(folder, "test"), torch.device("cpu"))
    return torch.cat([value.flatten() for value in net.parameters()]).detach().numpy()


def test_a_quarter_of_the_way(tmp_path: Path) -> None:
    first, second = model(tmp_path / "first", 1), model(tmp_path / "second", 2)
    average(first, second, 0.25, tmp_path / "between")
    expected = 0.75 * numbers(first) + 0.25 * numbers(second)
    np.testing.assert_allclose(numbers(tmp_path / "between"), expected, rtol=2e-3, atol=2e-3)
    card = read_card(tmp_path / "between", "test")
    assert card.title == "seed-2"
    assert not card.scores


def test_different_nets_have_no_average(tmp_path: Path) -> None:
    first, second = model(tmp_path / "first", 1), model(tmp_path / "second", 2, blocks=(2, 1))
    with pytest.raises(UsageError, match="different nets"):
        average(first, second, 0.5, tmp_path / "between")
    assert not (tmp_path / "between").exists()
