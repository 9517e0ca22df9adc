"""What each detector of strange noise recognises, measures and takes out, and what it leaves."""

import pytest
import torch
from torch import Tensor

from mdn import noise
from mdn.noise.analysis.lines import Banding, Wave
from mdn.noise.analysis.phases import filled, spread
from mdn.zeroshot import mosaic, speckle, stripes
from tests.noise.analysis.test_phases import BAYER, shaded
from tests.noise.analysis.test_phases import mosaic as bayer_noise
from tests.noise.synthesis.moments import generator

WAVE = Wave((0.11, 0.07), (0.05, 0.05, 0.05), (0.02, 0.02, 0.02))
ROWS, COLUMNS = torch.arange(160), torch.arange(192)


def ground() -> Tensor:
    across = torch.linspace(0, 5, 192).expand(160, -1)
    shade = 0.5 + 0.2 * torch.sin(across) * torch.cos(torch.linspace(0, 4, 160)[:, None])
    return shade + 0.05 * torch.randn(3, 160, 192, generator=generator())


def test_a_wave_is_measured_and_taken_out() -> None:
    noisy = ground() + WAVE.at(ROWS, COLUMNS)
    wave = stripes.find(noisy)
    rest = Banding(waves=(wave,)).removed(noisy, ROWS, COLUMNS) - ground()
    assert float(rest.std()) < 0.1 * WAVE.sigma
    assert abs(wave.period - WAVE.period) < 0.01
    part = WAVE.at(torch.arange(7, 20), torch.arange(30, 50))
    moved = WAVE.moved(-7, -30).at(torch.arange(13), torch.arange(20))  # counted from (7, 30)
    assert torch.allclose(moved, part, atol=1e-5)


def test_noise_and_a_grating_in_one_half_are_no_wave() -> None:
    half = WAVE.at(ROWS, COLUMNS)
    half[:, :, 96:] = 0
    for x in (ground(), ground() + half, torch.full((3, 160, 192), 0.5), torch.zeros(1, 20, 20)):
        assert stripes.find(x) is None


def drawing() -> Tensor:
    grid = torch.linspace(0, 1, 128)
    across, down = torch.meshgrid(grid, grid, indexing="xy")
    return (0.5 + 0.4 * torch.sin(5 * across) * torch.cos(4 * down)).expand(3, -1, -1)


def stored(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


def test_drawings_posterised_pictures_and_dots_are_no_dither() -> None:
    flat, edges = (drawing() * 7).round() / 7, (drawing() > 0.5).float()
    board = torch.arange(128)
    checks = ((board[:, None] + board) % 2 / 7.0).expand(3, -1, -1)
    white = noise.add(drawing(), "gaussian", 25, generator())
    for x in (flat, edges, checks, white, torch.zeros(3, 128, 128), drawing()[:, :9, :9]):
        assert stripes.dither_step(stored(x)) == 0


def test_the_noisy_cells_of_a_mosaic_are_told_from_the_others() -> None:
    assert torch.equal(mosaic.excess(bayer_noise()) > 0, BAYER)
    white = noise.add(shaded(), "gaussian", 25.0, generator())
    for x in (white, shaded(), torch.zeros(3, 4, 4)):
        assert not mosaic.excess(x).any()


@pytest.mark.parametrize("brightness", [0.01, 0.94])
def test_cells_show_where_their_noise_is_cut_off_at_black_or_white(brightness: float) -> None:
    page = brightness + 0.05 * (shaded() - 0.5)
    noisy = noise.add(page, "raw-mosaic", 40.0, generator()).clamp(0, 1)
    assert torch.equal(mosaic.excess(noisy) > 0, BAYER)


def test_a_mosaic_of_which_green_does_not_show_is_completed() -> None:
    noisy = bayer_noise()
    noisy[1] = 0.98
    assert torch.equal(mosaic.excess(noisy) > 0, BAYER)
    noisy[2] = 0.98  # red lies in one place, and names the mosaic
    assert torch.equal(mosaic.excess(noisy) > 0, BAYER)
    green = torch.stack([noisy[2], bayer_noise()[1], noisy[2]])  # which two mosaics have alike
    assert (mosaic.excess(green) > 0).any((1, 2)).tolist() == [False, True, False]


def test_noise_that_a_camera_spread_over_neighbours_is_no_mosaic() -> None:
    noisy = bayer_noise()
    error = mosaic.fill_error(noisy, BAYER)
    true = float((filled(noisy[None], BAYER, [(0, 0)])[0] - shaded()).square().mean())
    assert error == pytest.approx(true, rel=4)
    beside = (noisy.roll(1, 2) + noisy.roll(-1, 2)) / 2  # as interpolated from its row..
    above = (noisy.roll(1, 1) + noisy.roll(-1, 1)) / 2  # ..or its column
    marked = spread(BAYER, [(0, 0)], (64, 64))[0]
    camera = torch.where(marked, noisy, torch.where(marked.roll(1, 2), beside, above))
    assert (mosaic.excess(camera) > 0).any()
    assert mosaic.fill_error(camera, BAYER) is None


@pytest.mark.parametrize(
    ("kind", "level", "unit", "within"),
    [
        *(("speckle-gamma", looks, 1.0, 0.25) for looks in (1.0, 4.0, 16.0)),
        ("rician", 25.0, 1 / 255, 0.15),
    ],
)
def test_the_amount_is_measured_and_the_mean_given_back(kind, level, unit, within) -> None:
    clean = torch.linspace(0.0 if kind == "rician" else 0.1, 0.9, 192).expand(3, 192, -1)
    noisy = noise.add(clean, kind, level, generator()).clamp(0, 1)
    family = speckle.FAMILIES[kind == "rician"]
    mean = family.mean(clean, level * unit)  # what a perfect denoiser makes of it
    shift = speckle.find(noisy, mean)
    assert shift.family is family
    assert shift.amount == pytest.approx(level * unit, rel=within)
    curve = speckle.curve(shift, noisy, mean, mean)
    error, before = (float((x - clean).abs().mean()) for x in (curve.corrected(mean), mean))
    assert error < 0.5 * before
    assert error < 0.01 or kind == "rician"


@pytest.mark.parametrize(
    ("family", "kind", "level", "amount", "x"),
    [
        *((0, "speckle-gamma", 2.0, 2.0, x) for x in (0.2, 0.8)),
        *((1, "rician", 255 * s, s, x) for x, s in ((0.0, 0.1), (0.05, 0.1), (0.3, 0.02))),
        (1, "rician", 51.0, 0.2, 0.8),
    ],
)
def test_mean_and_distribution_are_those_of_the_noise(family, kind, level, amount, x) -> None:
    drawn = noise.add(torch.full((1, 400, 400), x), kind, level, generator()).flatten()
    family, limits = speckle.FAMILIES[family], speckle.THRESHOLDS
    stored = drawn.clamp(max=1) if kind == "speckle-gamma" else drawn
    mean = family.mean(torch.tensor(x), amount)
    assert float(mean) == pytest.approx(float(stored.mean()), abs=3e-3)
    shares = torch.stack([(drawn < limit).float().mean() for limit in limits])
    below = family.below(limits, torch.tensor([[x]]), amount)[0]
    assert float((below - shares).abs().max()) < 0.01
