"""What the judge inside a net reads, and what is done about it, as data and in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mdn.nets.unet import UNet, UNetConfig
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.options import Options
from mdn.pipeline.reading import NoiseReading, read_noise


@pytest.fixture
def net() -> UNet:
    torch.manual_seed(0)
    return UNet(UNetConfig(widths=(8, 12), blocks=(1, 1), judge=True)).eval()


def reading(**changes: object) -> NoiseReading:
    flat = NoiseReading(
        torch.zeros(1, 4), (9 / 255,) * 3, ((9 / 255,) * 3,) * 3, (0, 1), 0.5, 0.25, 0.0, 9 / 255
    )
    return replace(flat, **changes)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [(1, 1), (3, 8), (33, 65)])
def test_pictures_of_any_size_and_channels_are_read(
    net: UNet, channels: int, size: tuple[int, int]
) -> None:
    found = read_noise(net, torch.rand(channels, *size))
    assert found.sigma > 0
    assert found.descriptor.shape[0] == 1
    assert torch.isfinite(found.descriptor).all()
    json.dumps(found.describe())


@pytest.mark.parametrize("size", [(40, 41), (80, 97), (300, 520)])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_unknown_is_not_read(net: UNet, channels: int, size: tuple[int, int]) -> None:
    """Nothing that is drawn there, nor how much of it there is, changes what is read."""
    height, width = size
    x, unknown = (
        torch.rand(channels, height, width),
        torch.zeros(1, height, width, dtype=torch.bool),
    )
    unknown[:, :, width // 2 :] = True
    drawn = x.clone()
    drawn[:, :, width // 2 :] = 1.0
    kept, other = (read_noise(net, page, unknown) for page in (x, drawn))
    if min(size) >= 80:
        # A filter reaches a few pixels beyond the cells beside its own.
        torch.testing.assert_close(kept.descriptor, other.descriptor, atol=4 / 256, rtol=0)
        assert kept.sigma == pytest.approx(other.sigma, rel=0.02)  # the map is smoothed
    else:  # too little is known: all of it is read
        assert torch.equal(other.descriptor, read_noise(net, drawn).descriptor)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_curve_is_as_strong_as_the_noise(net: UNet, channels: int) -> None:
    torch.nn.init.constant_(net.local.say.bias, 2.0)  # the net finds more than the judge's curve
    found = read_noise(net, torch.full((channels, 64, 64), 0.5))
    middle = [row[len(row) // 2] for row in found.curve]
    assert np.sqrt(np.mean(np.square(middle))) == pytest.approx(found.sigma, rel=0.01)
    assert found.sigma > 2 * float(net.judge.sigmas(found.descriptor)[0, 0, 3])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "sigma 9.0"),
        ({"half": 0.8}, "sigma 9.0, coarse, as of a camera"),
        ({"curve": ((0.01, 0.02, 0.04),) * 3}, "sigma 9.0, depends on brightness"),
        ({"impulses": 0.02}, "sigma 9.0, impulses on 2.0 % of the samples"),
    ],
)
def test_the_words_name_what_matters(changes: dict, words: str) -> None:
    assert reading(**changes).in_words().startswith(words)


def test_what_the_curve_says_of_brightnesses_that_are_not_there_does_not_count() -> None:
    found = reading(curve=((0.2, 0.03, 0.03, 0.03, 0.03),) * 3, span=(0.3, 0.9))
    assert not found.by_brightness
    assert found.estimate().gain == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("sigma", "weight", "words"),
    [(0.4, 0.0, "no noise found: unchanged (sigma 0.4)"), (9.0, 1.0, "sigma 9.0: removed")],
)
def test_a_line_says_what_was_done(sigma: float, weight: float, words: str) -> None:
    found = reading(channels=(sigma / 255,))
    told = NoiseConditioning(
        sigma / 255, blend_weight=weight, estimate=found.estimate(), reading=found
    )
    assert told.in_words() == [words]
    assert told.in_words("50 % of it removed") == [
        words.replace(": removed", ": 50 % of it removed")
    ]


def test_a_line_says_what_was_exactly_flat() -> None:
    found = reading(channels=(9 / 255,))
    told = NoiseConditioning(9 / 255, estimate=found.estimate(), reading=found)
    some = replace(told, flat=0.4)
    assert some.in_words() == [
        "sigma 9.0: removed, but for 40 % of the picture, which is exactly flat"
    ]
    nothing = reading(channels=(0.0,))
    none = replace(some, flat=1.0, blend_weight=0.0, reading=nothing)
    assert none.in_words() == ["no noise found: areas of exactly one value, unchanged"]
    salt = replace(nothing, impulses=0.02)
    struck = replace(none, reading=salt, impulse_spread=0.1)
    assert struck.in_words() == ["impulses on 2.0 % of the samples: removed"]


def test_a_sigma_that_the_user_gave_is_told_beside_what_was_found() -> None:
    told = NoiseConditioning(20 / 255, reading=reading(), gain=2.2)
    assert told.in_words() == ["sigma 20, as given: removed (measured: sigma 9.0)"]
    assert NoiseConditioning(0.1).in_words() == ["sigma 25.5, as given: removed"]


NOISY, CLEAN = torch.rand(2, 2, 3, 8, 9, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(), "removed"),
        (Options(strength=0.5), "50 % of it removed"),
        (Options(strength=0.5, luma=0.5, chroma=0.5), "25 % of it removed"),
        (Options(luma=0.5), "50 % of it removed in brightness, 100 % in colour"),
    ],
)
def test_what_is_taken_is_said(options: Options, words: str) -> None:
    assert options.removed == words
