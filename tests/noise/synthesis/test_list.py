"""The list of noises: names, limits, and what holds for every one of them."""

from __future__ import annotations

import pytest
import torch

from mdn import noise
from mdn.errors import UsageError

ALL = [kind.name for kind in noise.NOISES]
# JPEG artefacts draw nothing, so two seeds give the same bits.
RANDOM = [name for name in ALL if name != "jpeg"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(*shape: int) -> torch.Tensor:
    drawn = torch.rand(shape, generator=generator(99))
    return (drawn * 255).round() / 255


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "shape", [(3, 16, 16), (1, 9, 13), (2, 3, 8, 8), (1, 1, 1), (2, 2, 3, 4, 5)]
)
def test_shape_and_type_are_kept(name: str, shape: tuple[int, ...]) -> None:
    x = picture(*shape)
    y = noise.add(x, name, noise.get(name).default, generator())
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert bool(torch.isfinite(y).all())


@pytest.mark.parametrize("name", ALL)
def test_same_seed_same_bits_and_the_input_is_untouched(name: str) -> None:
    x = picture(3, 16, 16)
    before = x.clone()
    level = noise.get(name).default
    first, second = (noise.add(x, name, level, generator(5)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", RANDOM)
def test_another_seed_gives_another_draw(name: str) -> None:
    x, level = picture(3, 32, 32), noise.get(name).default
    first = noise.add(x, name, level, generator(5))
    assert not torch.equal(first, noise.add(x, name, level, generator(6)))


@pytest.mark.parametrize("name", RANDOM)
def test_all_randomness_comes_from_the_generator(name: str) -> None:
    x, level = picture(3, 8, 8), noise.get(name).default
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    noise.add(x, name, level, generator())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", RANDOM)
def test_each_sample_of_a_batch_takes_its_own_level(name: str) -> None:
    """A batch with levels (B, 1, 1, 1): the weak one's picture is changed less, on average."""
    kind = noise.get(name)
    weak, strong = kind.levels[0], kind.levels[-1]
    if weak == strong:
        weak = strong / 4
    x = torch.full((2, 3, 48, 48), 0.4)
    levels = torch.tensor([weak, strong]).view(2, 1, 1, 1)
    # Many cameras: what one draws for its own exposure must not decide.
    draws = 40 if name == "isp" else 4
    source = generator()
    change = torch.stack([noise.add(x, name, levels, source) - x for _ in range(draws)])
    power = change.square().mean((0, 2, 3, 4))
    assert power[1] > power[0]


def test_jpeg_takes_a_quality_a_picture() -> None:
    x = picture(2, 3, 16, 16)
    levels = torch.tensor([90.0, 10.0]).view(2, 1, 1, 1)
    both = noise.add(x, "jpeg", levels, generator())
    assert torch.equal(both[0], noise.add(x[0], "jpeg", 90, generator()))
    assert torch.equal(both[1], noise.add(x[1], "jpeg", 10, generator()))


@pytest.mark.parametrize("name", ALL)
def test_specs_are_consistent(name: str) -> None:
    kind = noise.get(name)
    for level in (*kind.levels, kind.default):
        kind.check(level)
    assert f"--type {name} " in kind.example
    assert kind.explanation.endswith(".")
    assert kind.explanation.count(". ") >= 1
    assert all((kind.title, kind.parameter, kind.unit))


def test_names_are_unique() -> None:
    assert len(set(ALL)) == len(ALL)


@pytest.mark.parametrize("bad", [-1.0, 256.0, float("nan"), float("inf")])
def test_levels_outside_the_limits_are_refused(bad: float) -> None:
    with pytest.raises(UsageError, match=r"gaussian: level .* is outside 0 to 255"):
        noise.add(picture(3, 8, 8), "gaussian", bad, generator())


def test_one_bad_level_in_a_tensor_is_refused() -> None:
    with pytest.raises(UsageError, match="one of the levels"):
        noise.add(picture(2, 3, 8, 8), "gaussian", torch.tensor([5.0, -1.0]), generator())


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("gausian", "gaussian"), ("Poison", "poisson"), ("salt&pepper", "salt-pepper")],
)
def test_unknown_names_are_answered_with_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(UsageError, match=meant):
        noise.get(typo)


def test_a_name_near_nothing_is_answered_with_all() -> None:
    with pytest.raises(UsageError) as caught:
        noise.get("###")
    assert all(name in str(caught.value) for name in ALL)


def test_the_suite_holds_the_published_rows() -> None:
    rows = noise.SUITE["paper"]
    assert ("gaussian", 15) in rows
    assert ("poisson", 3.5) in rows
    assert ("mixture", 5) in rows
    assert len(rows) == len(set(rows))
    for name, entries in noise.SUITE.items():
        assert entries, name
        for kind, level in entries:
            noise.get(kind).check(level)


@pytest.mark.parametrize(
    "name", ["gaussian", "spatial", "speckle", "poisson", "isp", "salt-pepper"]
)
def test_level_zero_changes_nothing(name: str) -> None:
    x = picture(3, 16, 16)
    assert torch.equal(noise.add(x, name, 0, generator()), x)


@pytest.mark.parametrize("name", [n for n in ALL if n not in {"salt-pepper", "mixture"}])
def test_values_beyond_white_keep_their_range(name: str) -> None:
    """Float pictures go above 1 (and 16-bit ones use all of [0, 1]): nothing is clipped there."""
    x = torch.full((3, 24, 24), 4.0)
    y = noise.add(x, name, noise.get(name).default, generator())
    assert 2.5 < float(y.median()) < 5.5
