"""Crops that one kind of noise does not make."""

from dataclasses import replace

import pytest
import torch

from mdn.training.cases import CASES, draw_case
from mdn.training.data import Crops
from mdn.training.degrade import generator_for
from mdn.training.judged import FLOOR, draw_group, told, turned
from tests.training.test_judged import recipe, sample


def pictures(channels: int = 3) -> torch.Tensor:
    x = torch.rand(2, channels, 9, 9, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(x, (64, 64), mode="bicubic").clamp(0.02, 0.98)


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("kind", CASES)
def test_cases_keep_the_shape_and_are_drawn_alike_twice(kind: str, channels: int) -> None:
    low, high = CASES[kind].limits
    levels = torch.full((2,), min(high, max(low, 0.005 if kind == "hot-pixels" else 20)))
    drawn = [
        draw_case(kind, pictures(channels), levels, torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    for first, second in zip(*drawn, strict=True):
        assert first.shape == (2, channels, 64, 64)
        assert torch.equal(first, second)
        assert bool(first.isfinite().all())
    noisy, stored, clean = drawn[0]
    if kind == "kept":
        assert torch.equal(noisy, clean)  # left as they are
    else:
        assert not torch.equal(noisy, stored)
    assert float((stored - clean).abs().mean()) < 0.03


def test_noise_of_colours_leaves_brightness_quiet() -> None:
    noisy, _, clean = draw_case(
        "colour", pictures(), torch.full((2,), 20.0), torch.Generator().manual_seed(0)
    )
    noise = noisy - clean
    assert float(noise.mean(1).std()) < 0.3 * float(noise.std())


def test_a_page_is_clean_around_its_picture() -> None:
    noisy, _, clean = draw_case(
        "page", pictures(), torch.full((2,), 20.0), torch.Generator().manual_seed(0)
    )
    touched = (noisy != clean).any(1)
    assert 0.1 < float(touched.float().mean()) < 0.75
    assert not bool(touched.all(2).all(1).any())


def test_a_batch_comes_again_turned() -> None:
    kinds = recipe(("gaussian", 20, 20), data={"sources": ["x"], "crop": 32, "context": 64})
    picture = torch.randint(0, 256, (3, 80, 80), dtype=torch.uint8)
    batch = draw_group(kinds, Crops([picture], 64, torch.device("cpu")), 0, 0)
    again = {tuple(turned(batch, 0, step).noisy.flatten()[:50].tolist()) for step in range(20)}
    assert 4 <= len(again) <= 8  # ways to turn and mirror
    one = turned(batch, 0, 1)
    torch.testing.assert_close((one.noisy - one.clean).std(), (batch.noisy - batch.clean).std())


def test_told_crops_get_a_map_of_the_true_mean() -> None:
    clean = torch.full((4, 3, 32, 32), 0.5)
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    noisy[2:] = clean[2:]  # of what is clean nobody says how noisy it is
    sigmas = 0.02 * torch.rand(4, 3, 16, 16)
    part = slice(32), slice(32)
    gain, floor = told(
        replace(sample(noisy, clean), added=noisy - clean),
        sigmas,
        1.0,
        part,
        generator_for(0, 0, 0),
    )
    scaled = ((sigmas + floor) * gain).square().mean((1, 2, 3)).sqrt()
    torch.testing.assert_close(scaled[:2], torch.full((2,), 0.1), atol=5e-3, rtol=0)
    assert gain[2:].flatten().tolist() == [1, 1]
    assert floor.flatten().tolist() == pytest.approx([FLOOR, FLOOR, 0, 0])
