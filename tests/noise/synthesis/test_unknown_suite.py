"""The suite of unknown noises: complete, marked, and refused by training."""

from __future__ import annotations

import tomllib

import pytest

from mdn import noise
from mdn.bench import noise_cases
from mdn.errors import UsageError
from mdn.training.recipe_parse import parse
from tests.training.conftest import RECIPE

UNKNOWN = [kind for kind in noise.NOISES if kind.held_out]
TABLE = tomllib.loads(RECIPE.replace("{name}", "adam"))


def test_all_of_them_are_in_the_suite_at_their_usual_strength() -> None:
    assert len(UNKNOWN) == 10
    assert {kind for kind, _ in noise.SUITE["unknown"]} == {kind.name for kind in UNKNOWN}
    assert ("rician", noise.get("rician").default) in noise.SUITE["unknown"]
    looks = [level for kind, level in noise.SUITE["unknown"] if kind == "speckle-gamma"]
    assert looks == [16, 4, 1]


def test_bench_runs_the_suite_by_its_name() -> None:
    draws = noise_cases.parse("unknown")
    assert [(draw.kind, draw.level) for draw in draws] == list(noise.SUITE["unknown"])


@pytest.mark.parametrize("kind", UNKNOWN, ids=lambda kind: kind.name)
def test_no_recipe_may_train_or_choose_by_one(kind: noise.NoiseType) -> None:
    level = kind.default
    row = {"kind": kind.name, "low": level, "high": level}
    with pytest.raises(UsageError, match=f"{kind.name} is kept for tests"):
        parse(TABLE | {"noise": [row]})
    parse(TABLE)  # it is well but for the noise
    watch = {"rows": [[kind.name, level]]}
    with pytest.raises(UsageError, match=f"{kind.name} is kept for tests"):
        parse(TABLE | {"watch": watch})
