"""Recipes with stages: which are trained, in which order, and from which weights."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mdn.errors import UsageError
from mdn.training.recipe_files import load_stages

Recipes = Callable[..., Path]
STAGES = """
[[stage]]
name = "told"
seed = 5

[[stage]]
name = "coarse"
init_weights = "told"

[[stage]]
name = "other"
init_weights = "coarse"
init_judge = "told"
"""


def staged(path: Path, top: str, below: str = STAGES) -> Path:
    path.write_text(f"{top}\n{path.read_text()}{below}")
    return path


def test_stages_are_trained_before_those_that_begin_with_them(
    write_recipe: Recipes, tmp_path: Path
) -> None:
    path = staged(write_recipe(), 'init_weights = "other"')
    found = load_stages(path, None, tmp_path / "run")
    assert [stage.folder.name for stage in found] == ["told", "coarse", "other", "run"]
    told, coarse, other, last = (stage.recipe for stage in found)
    weights = {
        name: str(tmp_path / "run" / name / "weights.safetensors") for name in ("told", "coarse")
    }
    assert ((told.init_weights, told.seed), coarse.init_weights) == (("", 5), weights["told"])
    assert (other.init_weights, other.init_judge) == (weights["coarse"], weights["told"])
    assert last.init_weights.endswith("other/weights.safetensors")
    assert len({stage.recipe.name for stage in found}) == 4


def test_stages_that_nothing_needs_are_left_out(write_recipe: Recipes, tmp_path: Path) -> None:
    path = staged(write_recipe(), 'init_weights = "told"')
    names = [stage.folder.name for stage in load_stages(path, None, tmp_path / "run")]
    assert names == ["told", "run"]
    (alone,) = load_stages(path, {"init_weights": "mine.safetensors"}, tmp_path / "run")
    assert alone.recipe.init_weights == "mine.safetensors"


def test_stages_in_a_circle_are_refused(write_recipe: Recipes, tmp_path: Path) -> None:
    below = (
        '\n[[stage]]\nname = "a"\ninit_weights = "b"\n[[stage]]\nname = "b"\ninit_weights = "a"\n'
    )
    path = staged(write_recipe(), 'init_weights = "a"', below)
    with pytest.raises(UsageError, match="in a circle: a -> b -> a"):
        load_stages(path, None, tmp_path / "run")


def test_files_of_stages_lie_beside_the_recipe(write_recipe: Recipes, tmp_path: Path) -> None:
    below = '\n[[stage]]\nname = "a"\ninit_weights = "old.safetensors"\n'
    path = staged(write_recipe(), 'init_weights = "a"', below)
    first, _ = load_stages(path, None, tmp_path / "run")
    assert first.recipe.init_weights == str(path.parent / "old.safetensors")
