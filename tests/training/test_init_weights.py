"""A training may go on from the weights of a net with other planes."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mdn import nets
from mdn.errors import UsageError
from mdn.nets.judge import FACTS, SOFT
from mdn.registry.model import pack
from mdn.training.build import build, init_weights
from mdn.training.recipe_files import load

Recipes = Callable[..., Path]
SHAPE = {"widths": (4, 8), "blocks": (1, 1), "noise_conditioned": True}
JUDGING = SHAPE | {"noise_conditioned": False, "per_channel_mask": True, "judge": True}


def _random(path: Path, **config: object) -> torch.nn.Module:
    """A U-Net of random weights, the tail's included, stored at `path`."""
    torch.manual_seed(0)
    net = nets.build("unet", SHAPE | config)
    torch.nn.init.normal_(net.tail.weight)
    path.write_bytes(pack(net, "unet", net.state_dict()))
    return net


@pytest.mark.parametrize(
    ("key", "stored", "named", "net"),
    [
        ("init_weights", {"widths": (8, 8)}, "a", {"channels": 1, "noise_conditioned": True}),
        ("init_judge", {}, "a", JUDGING),
        ("init_judge", {}, "gone", JUDGING),
        ("init_judge", JUDGING, "a", {}),  # a net that is told takes no judge
    ],
)
def test_what_does_not_fit_is_refused(
    key: str, stored: dict, named: str, net: dict, write_recipe: Recipes, tmp_path: Path
) -> None:
    _random(tmp_path / "a.safetensors", **stored)
    path = write_recipe(seed=f'3\n{key} = "{named}.safetensors"')
    with pytest.raises(UsageError, match="cannot start from these weights"):
        build(load(path, {"net": net}))


def test_a_net_with_a_judge_begins_as_the_one_that_is_told_the_level(tmp_path: Path) -> None:
    told = _random(tmp_path / "told.safetensors", per_channel_mask=True).eval()
    judging = nets.build("unet", JUDGING).eval()
    init_weights(judging, tmp_path / "told.safetensors")
    x = torch.rand(1, 3, 64, 64)
    descriptor = judging.judge(x).detach()
    levels = slice(judging.judge.config.hidden, -FACTS)
    descriptor[:, levels] = math.log2(255 * (0.125 + SOFT))
    with torch.no_grad():
        expected = told(x, level=torch.tensor(0.125))
        assert torch.allclose(judging(x, noise=descriptor), expected, atol=1e-3)


def test_a_net_takes_the_judge_of_another(write_recipe: Recipes, tmp_path: Path) -> None:
    _random(tmp_path / "told.safetensors", per_channel_mask=True)
    other = _random(tmp_path / "judging.safetensors", **JUDGING).state_dict()
    path = write_recipe(
        seed='3\ninit_weights = "told.safetensors"\ninit_judge = "judging.safetensors"'
    )
    plain = build(load(path, {"net": JUDGING, "init_judge": ""})).state_dict()
    found = build(load(path, {"net": JUDGING})).state_dict()
    for key, value in found.items():
        judge = key.startswith(("judge.", "local."))
        assert torch.equal(value, (other if judge else plain)[key]), key
    assert not torch.equal(found["judge.bank"], plain["judge.bank"])  # the two differed
