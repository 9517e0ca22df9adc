"""Two plain nets as the kernels of one, and weights between those of two trainings."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mdn import nets
from mdn.errors import UsageError
from mdn.nets.mixed import Conditions
from mdn.nets.unet import UNet, UNetConfig
from mdn.registry.cards import read_card
from mdn.registry.model import load, pack, save_weights, write_card
from mdn.training import build
from mdn.training.average import average
from mdn.training.data import Crops
from tests.training.test_judged import recipe

PLAIN = UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True)
MIXED = UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True, kernels=2)


def plain(seed: int, judge: UNet | None = None) -> UNet:
    torch.manual_seed(seed)
    net = UNet(PLAIN).eval()
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    if judge is not None:
        net.judge.load_state_dict(judge.judge.state_dict())
        net.local.load_state_dict(judge.local.state_dict())
    return net


@torch.no_grad()
@pytest.mark.parametrize("chosen", [0, 1])
def test_with_the_share_of_one_net_it_answers_as_that_net(chosen: int) -> None:
    first = plain(0)
    nets = [first, plain(1, first)]
    net = UNet(MIXED).eval()
    net.load_state_dict(build.joined(net, nets))
    net.conditions.share.bias[chosen] = 100.0
    x = torch.rand(2, 3, 48, 64)
    torch.testing.assert_close(net(x), nets[chosen](x), atol=1e-5, rtol=1e-5)


def test_shares_follow_what_makes_the_least_error() -> None:
    torch.manual_seed(0)
    descriptors = torch.randn(200, 88)
    first_is_better = descriptors[:, 3] > 0
    errors = torch.where(
        first_is_better[:, None], torch.tensor([0.001, 0.01]), torch.tensor([0.01, 0.001])
    )
    conditions = Conditions(88, 2)
    build.fit_shares(conditions, descriptors, errors)
    shares = conditions(descriptors, torch.zeros(1, 1), torch.ones(1, 1)).shares
    assert float(((shares[:, 0] > 0.5) == first_is_better).float().mean()) > 0.95


def test_a_recipe_joins_files_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    first = plain(0)
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for file, net in zip(files, (first, plain(1, first)), strict=True):
        save_weights(file, net, "unet", net.state_dict())
    pictures = [torch.randint(0, 256, (3, 80, 80), dtype=torch.uint8)]
    crops = Crops(pictures, 64, torch.device("cpu"))
    wanted = recipe(
        ("gaussian", 5, 20),
        net={"widths": [8, 12], "blocks": [1, 1], "judge": True, "kernels": 2},
        join=[str(file) for file in files],
        join_steps=2,
    )
    net = UNet(MIXED)
    assert "2 nets joined" in build.join(net, wanted, crops)
    torch.testing.assert_close(
        net.body[0].first.kernels[0], first.body[0].first.weight, atol=1e-3, rtol=1e-3
    )
    save_weights(files[1], UNet(MIXED), "unet", UNet(MIXED).state_dict())
    with pytest.raises(UsageError, match="no plain net with a judge"):
        build.join(net, wanted, crops)


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
