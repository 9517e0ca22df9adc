"""A net that a recipe cannot mean is refused in one line that names the key."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mdn.errors import UsageError
from mdn.training.build import build
from mdn.training.recipe_files import load

Recipes = Callable[..., Path]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"arch": "unte"}, "arch = 'unte' is unknown; did you mean 'unet'"),
        ({"arch": "resnet99"}, "is unknown; it knows .*swinir-masked, "),
        ({"net": {"width": 3}}, r"\[net\] width is unknown; did you mean 'widths'"),
        ({"net": {"widths": "many"}}, r"\[net\] does not describe a unet"),
        ({"net": {"widths": [0, 8]}}, r"\[net\] does not describe a unet"),
        ({"net": {"widths": [-4, 8]}}, r"\[net\] does not describe a unet"),
        ({"net": {"widths": [4, 8, 12]}}, r"\[net\] does not describe a unet"),
        ({"net": {"widths": []}}, r"\[net\] does not describe a unet"),
        ({"data": {"crop": 18}}, r"\[data\] crop = 18 is no multiple of 4"),
        ({"watch": {"crop": 30}}, r"\[watch\] crop = 30 is no multiple of 4"),
        ({"init_weights": "gone.safetensors"}, r"gone\.safetensors: cannot start"),
        ({"frozen": ["boddy"]}, "frozen: no part 'boddy'; did you mean 'body'"),
    ],
)
def test_nonsense_is_named(changes: dict, complaint: str, write_recipe: Recipes) -> None:
    with pytest.raises(UsageError, match=complaint) as caught:
        build(load(write_recipe(), changes))
    assert "\n" not in str(caught.value)


def test_swinir_says_what_its_numbers_must_be(write_recipe: Recipes) -> None:
    path = write_recipe()
    path.write_text(path.read_text().replace('"unet"', '"swinir-masked"'))
    path.write_text(path.read_text().replace("widths = [4, 8]\nblocks = [1, 1]", "dim = 50"))
    with pytest.raises(UsageError, match=r"multiple of heads"):
        build(load(path))
    path.write_text(path.read_text().replace("dim = 50", "attention_ratio = [0.9, 0.1]"))
    with pytest.raises(UsageError, match="attention_ratio must be two numbers"):
        build(load(path))


def test_frozen_parts_learn_nothing(write_recipe: Recipes) -> None:
    net = build(load(write_recipe(), {"frozen": ["body"]}))
    learning = {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad}
    assert "body" not in learning
    assert {"head", "tail"} <= learning
