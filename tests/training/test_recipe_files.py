"""Recipes by name, over a base, with changes; and what changed between two."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mdn.errors import UsageError
from mdn.nets.swinir import SwinIR, SwinIRConfig
from mdn.training import recipe_files
from mdn.training.build import build
from mdn.training.optim import lr_scale
from mdn.training.recipe_files import load

Recipes = Callable[..., Path]
PAPER = "swinir-masked-paper"


def shipped(name: str, **changes: Any) -> Any:
    return load(recipe_files.find(name), changes)


def over(path: Path, text: str, name: str = "over") -> Path:
    """A recipe beside `path`, laid over it."""
    target = path.with_name(f"{name}.toml")
    target.write_text(f'base = "{path.name}"\n{text}')
    return target


def test_an_overlay_changes_what_it_says_and_keeps_the_rest(write_recipe: Recipes) -> None:
    path = write_recipe()
    changed = load(over(path, "[optim]\nlr = 0.5\n[[noise]]\nkind = 'speckle'\nlow=0\nhigh=0.1\n"))
    below = load(path)
    assert (changed.name, changed.optim.lr, changed.optim.steps) == ("over", 0.5, 8)
    assert [row.kind for row in changed.noise] == ["speckle"]
    assert (changed.data, changed.watch, changed.net) == (below.data, below.watch, below.net)


def test_the_text_of_an_overlay_stands_alone(write_recipe: Recipes, tmp_path: Path) -> None:
    changed = load(over(write_recipe(), "[optim]\nlr = 0.5\n"), {"seed": 7})
    alone = tmp_path / "elsewhere" / "recipe.toml"
    alone.parent.mkdir()
    alone.write_text(changed.text)
    again = load(alone)
    assert (again.seed, again.optim, again.name) == (7, changed.optim, "over")
    assert changed.text.startswith("# Made of over.toml over recipe.toml, with changes")


def test_a_picture_is_no_recipe(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(UsageError, match=r"a.png: is no text, and a recipe is a text in TOML$"):
        load(path)


def test_bases_that_are_not_there_or_go_in_a_circle(write_recipe: Recipes) -> None:
    path = write_recipe()
    first = over(path, "", "first")
    with pytest.raises(UsageError, match=r"'gone\.toml' is no file beside it"):
        load(over(Path("gone.toml").absolute().parent / path.parent / "gone.toml", ""))
    path.write_text(f'base = "{first.name}"\n' + path.read_text())
    with pytest.raises(UsageError, match="circle"):
        load(first)


def test_names_files_and_folders_are_found(tmp_path: Path, write_recipe: Recipes) -> None:
    path = write_recipe()
    assert (recipe_files.find(str(path)), recipe_files.find(str(path.parent))) == (path, path)
    assert recipe_files.find("photo").parent.name == "photo"
    with pytest.raises(UsageError, match="no such recipe; did you mean swinir-masked-paper"):
        recipe_files.find("swinir-maskd-paper")
    with pytest.raises(UsageError, match=r"gone\.toml: there is no such recipe file"):
        recipe_files.find(str(tmp_path / "gone.toml"))


def test_every_shipped_recipe_makes_its_net() -> None:
    for name, path in recipe_files.names().items():
        recipe = load(path)
        assert recipe.name == name
        assert recipe.about["summary"]
        build(recipe)


def test_the_paper_recipe_to_the_letter() -> None:
    """CVPR 2023, section 5.1, as FACTS of the project have it."""
    recipe = shipped(PAPER)
    net = build(recipe)
    assert isinstance(net, SwinIR)
    assert (net.config, sum(p.numel() for p in net.parameters())) == (SwinIRConfig(), 824_118)
    assert recipe.data.sources == ("DIV2K", "Flickr2K", "BSD500", "WED")
    assert [(row.kind, row.low, row.high) for row in recipe.noise] == [("gaussian", 15, 15)]
    assert (recipe.data.crop, recipe.loss, recipe.clip_share) == (64, "l1", 1)
    optim = recipe.optim
    assert (optim.name, optim.betas, optim.batch, optim.steps) == ("adam", (0.9, 0.99), 64, 200_000)
    rates = [optim.lr * lr_scale(optim, step) for step in (0, 99_999, 100_000, 150_000, 199_999)]
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5, 2.5e-5])
    assert (recipe.mask.share, recipe.contrast.share, recipe.data.gray) == (0, 0, 0)


def test_the_baseline_of_the_paper_differs_by_its_masks_alone() -> None:
    reference = tomllib.loads(shipped(PAPER).text)
    table = tomllib.loads(shipped("swinir-baseline-paper").text)
    different = {key for key in table["net"] if table["net"][key] != reference["net"][key]}
    assert different
    assert different <= {"input_mask", "input_ratio", "attention_ratio"}
    for part in ("data", "noise", "optim", "watch", "seed", "loss", "clip_share"):
        assert table[part] == reference[part], part


def test_differences_are_named_and_comments_are_none() -> None:
    former = '# old\nseed = 1\n[optim]\nlr = 0.1\n[[noise]]\nkind = "gaussian"\nlow = 1\n'
    now = 'seed = 1\n[optim]\nlr = 0.2\nclip = 1.0\n[[noise]]\nkind = "gaussian"\nlow = 2\n'
    assert recipe_files.differences(former, former.replace("# old", "# new")) == []
    assert recipe_files.differences(former, now) == [
        "noise ['gaussian 1'] -> ['gaussian 2']",
        "optim.clip unset -> 1.0",
        "optim.lr 0.1 -> 0.2",
    ]


@pytest.mark.parametrize("level", ["1e9", "-1"])
def test_noise_levels_are_checked_before_training(level: str, write_recipe: Recipes) -> None:
    with pytest.raises(UsageError, match="gaussian: level"):
        load(write_recipe(rows=f'[["gaussian", {level}]]'))


def test_keys_of_release_0_1_are_read_by_their_names_of_today(write_recipe: Recipes) -> None:
    path = write_recipe(seed='3\nstart = "a.safetensors"')
    table, _ = recipe_files.read(path, {"net": {"levelled": True, "sampled": True}})
    assert table["init_weights"] == str(path.parent / "a.safetensors")
    assert table["net"].items() >= {"noise_conditioned": True, "per_channel_mask": True}.items()
