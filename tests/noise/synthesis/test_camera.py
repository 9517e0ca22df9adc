"""The simulated camera: noise of the sensor against theory, demosaic, twins, sizes, codec."""

from dataclasses import replace

import pytest
import torch

from mdn import noise
from mdn.noise.synthesis import camera, development, isp
from tests.noise.synthesis.moments import assert_moments, generator

ISOS = list(camera.TABLE)


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=generator(9))


@pytest.mark.parametrize("iso", ISOS)
@pytest.mark.parametrize("value", [0.02, 0.6])
def test_raw_noise_has_the_variance_of_its_profile(iso: int, value: float) -> None:
    (_, shot, _), (read, _) = camera.quantiles(iso)
    assert (shot, read) == (camera.TABLE[iso][0][1], camera.TABLE[iso][1][0])
    raw = torch.full((1, 1, 256, 256), value)
    change = camera.record(raw, camera.SensorNoise(shot, read), generator(iso)) - raw
    assert_moments(change, shot * value + read)


def mosaicked(colours: torch.Tensor) -> torch.Tensor:
    """(3, H, W) -> what an RGGB sensor keeps of it, (1, 1, H, W)."""
    return (colours * development.bayer_masks(*colours.shape[1:])).sum(0)[None, None]


@pytest.mark.parametrize("method", development.METHODS)
@pytest.mark.parametrize("size", [(16, 16), (9, 14), (7, 5)])
def test_one_colour_comes_back_exactly(method, size: tuple[int, int]) -> None:
    colours = torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1).expand(3, *size)
    assert torch.allclose(method(mosaicked(colours))[0], colours, atol=1e-6)


@pytest.mark.parametrize("method", [development.bilinear, development.malvar])
def test_linear_ramps_come_back_exactly_inside(method) -> None:
    rows, columns = torch.arange(20.0)[:, None], torch.arange(18.0)[None]
    ramps = [0.1 + 0.02 * rows + 0.01 * columns, 0.8 - 0.03 * columns + 0 * rows, 0.3 + 0.01 * rows]
    colours = torch.stack([ramp.expand(20, 18) for ramp in ramps])
    result = method(mosaicked(colours))[0]
    assert torch.allclose(result[:, 3:-3, 3:-3], colours[:, 3:-3, 3:-3], atol=1e-5)


@pytest.mark.parametrize("method", development.METHODS)
def test_cells_keep_what_they_measured(method) -> None:
    colours = picture(3, 12, 12)
    cells = development.bayer_masks(12, 12) > 0
    assert torch.allclose(method(mosaicked(colours))[0][cells], colours[cells], atol=1e-6)


def test_the_same_seed_takes_the_same_photo() -> None:
    x = picture(2, 3, 24, 24)
    first, again, other = (camera.take_photos(x, 3200, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])  # another camera, so another look as well


def test_without_noise_and_codec_both_are_one_picture() -> None:
    settings = replace(
        camera.draw_settings(3200, generator(5)), sensor=camera.SensorNoise(0, 0), quality=0
    )
    noisy, clean = camera.take_photo(picture(1, 3, 32, 32), settings, generator())
    assert float((noisy - clean).abs().max()) <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_the_smallest_pictures_have_their_photo(height: int, width: int) -> None:
    source = generator(height * 10 + width)
    for _ in range(4):
        noisy, clean = camera.take_photos(picture(3, height, width), 3200, source)
        for each in (noisy, clean):
            assert each.shape == (3, height, width)
            assert bool(torch.isfinite(each).all())
        assert 0 <= float(clean.min()) <= float(clean.max()) <= 1


def camera_like(count: int) -> isp.Camera:
    camera = isp.draw_camera(count, generator(3))
    return isp.Camera(camera.to_camera, torch.ones_like(camera.gains), camera.shot, camera.read)


def test_process_undoes_unprocess() -> None:
    x = 0.05 + 0.8 * torch.rand(4, 3, 16, 16, generator=generator())
    camera = camera_like(4)
    # Saturated colours leave a camera's gamut and are cut; near-gray ones return.
    x = 0.5 * x + 0.5 * x.mean(1, keepdim=True)
    assert torch.allclose(isp.process(isp.unprocess(x, camera), camera), x, atol=2e-4)


def test_camera_noise_on_linear_gray_has_the_variance_of_the_chain() -> None:
    """A gray of the raw's own making: green before and after, through the slope of the curves."""
    value = 0.5
    camera = isp.draw_camera(1, generator(11))
    raw = isp.unprocess(torch.full((1, 3, 1, 1), value), camera)
    y = noise.add(torch.full((3, 256, 256), value), "isp", 0.02, generator(11))
    # Slopes of process() by finite differences, one raw colour at a time.
    slopes = []
    for channel in range(3):
        step = torch.zeros(1, 3, 1, 1)
        step[:, channel] = 1e-4
        slopes.append((isp.process(raw + step, camera) - isp.process(raw - step, camera)) / 2e-4)
    variance = (camera.shot * raw + camera.read) * 0.02**2
    # Mean energy of the bilinear weights: red and blue 9/16, green 5/8.
    energy = torch.tensor([9 / 16, 5 / 8, 9 / 16]).view(1, 3, 1, 1)
    expected = sum((slopes[c].flatten() ** 2) * (variance * energy).flatten()[c] for c in range(3))
    assert isinstance(expected, torch.Tensor)
    assert torch.allclose((y - value).flatten(1).var(1), expected, rtol=0.05)
