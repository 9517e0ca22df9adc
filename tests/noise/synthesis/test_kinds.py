"""What holds for every kind of noise, and the list of them: names, limits, suites."""

import tomllib

import pytest
import torch

from mdn import noise
from mdn.bench import noise_cases
from mdn.errors import UsageError
from mdn.training.recipe_parse import parse
from tests.noise.synthesis.moments import generator
from tests.training.conftest import RECIPE

ALL = [kind.name for kind in noise.NOISES]
# JPEG artefacts draw nothing, so two seeds give the same bits.
RANDOM = [name for name in ALL if name != "jpeg"]
UNKNOWN = [kind for kind in noise.NOISES if kind.held_out]


def picture(*shape: int) -> torch.Tensor:
    return (torch.rand(shape, generator=generator(99)) * 255).round() / 255


@pytest.mark.parametrize("name", ALL)
def test_shape_and_type_stay(name: str) -> None:
    for shape in ((3, 16, 16), (1, 9, 13), (2, 3, 8, 8), (1, 1, 1), (2, 2, 3, 4, 5)):
        x = picture(*shape)
        y = noise.add(x, name, noise.get(name).default, generator())
        assert (y.shape, y.dtype) == (x.shape, torch.float32)
        assert bool(torch.isfinite(y).all())


@pytest.mark.parametrize("name", ALL)
def test_all_randomness_comes_from_the_generator(name: str) -> None:
    x, level = picture(3, 32, 32), noise.get(name).default
    before, state = x.clone(), torch.random.get_rng_state()
    first, second, other = (noise.add(x, name, level, generator(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert torch.equal(first, other) == (name not in RANDOM)
    assert torch.equal(x, before)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", RANDOM)
def test_a_batch_takes_a_level_for_each_picture(name: str) -> None:
    """With levels (B, 1, 1, 1) the weak one's picture is changed less, on average."""
    kind = noise.get(name)
    weak, strong = kind.levels[0], kind.levels[-1]
    if weak == strong:
        weak = strong / 4
    x = torch.full((2, 3, 48, 48), 0.4)
    levels = torch.tensor([weak, strong]).view(2, 1, 1, 1)
    # Many cameras: what one draws for its own exposure must not decide.
    draws, source = 40 if name == "isp" else 4, generator()
    change = torch.stack([noise.add(x, name, levels, source) - x for _ in range(draws)])
    power = change.square().mean((0, 2, 3, 4))
    assert power[1] > power[0]


@pytest.mark.parametrize(
    "name", ["gaussian", "spatial", "speckle", "poisson", "isp", "salt-pepper", "impulse-blotches"]
)
def test_level_zero_changes_nothing(name: str) -> None:
    x = picture(3, 16, 16)
    assert torch.equal(noise.add(x, name, 0, generator()), x)


@pytest.mark.parametrize("bad", [-1.0, 256.0, float("nan"), float("inf")])
def test_levels_outside_the_limits_are_refused(bad: float) -> None:
    with pytest.raises(UsageError, match=r"gaussian: level .* is outside 0 to 255"):
        noise.add(picture(3, 8, 8), "gaussian", bad, generator())
    with pytest.raises(UsageError, match="one of the levels"):
        noise.add(picture(2, 3, 8, 8), "gaussian", torch.tensor([5.0, bad]), generator())


def test_suites_hold_the_published_rows_and_those_of_unknown_noise() -> None:
    paper = noise.SUITE["paper"]
    assert {("gaussian", 15), ("poisson", 3.5), ("mixture", 5)} <= set(paper)
    assert len(paper) == len(set(paper))
    unknown = noise.SUITE["unknown"]
    assert len(UNKNOWN) == 10
    assert {name for name, _ in unknown} == {kind.name for kind in UNKNOWN}
    assert ("rician", noise.get("rician").default) in unknown
    assert [level for name, level in unknown if name == "speckle-gamma"] == [16, 4, 1]
    assert [(case.kind, case.level) for case in noise_cases.parse("unknown")] == list(unknown)


@pytest.mark.parametrize("kind", UNKNOWN, ids=lambda kind: kind.name)
def test_no_recipe_may_train_or_choose_by_unknown_noise(kind: noise.NoiseType) -> None:
    table, level = tomllib.loads(RECIPE.replace("{name}", "adam")), kind.default
    parse(table)  # it is well but for the noise
    row = {"kind": kind.name, "low": level, "high": level}
    for part in ({"noise": [row]}, {"watch": {"rows": [[kind.name, level]]}}):
        with pytest.raises(UsageError, match=f"{kind.name} is kept for tests"):
            parse(table | part)
