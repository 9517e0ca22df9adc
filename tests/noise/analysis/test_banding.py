"""Banding: found where it is, with its offsets, and nowhere else."""

import torch
from torch import Tensor

from mdn.noise.analysis.lines import STRIP, offsets, steps
from tests.noise.analysis.test_estimate import scene, stored
from tests.noise.synthesis.moments import generator


def found(x: Tensor) -> Tensor | None:
    strips = x.split(STRIP, 2)
    return offsets(torch.stack([steps(strip) for strip in strips if strip.shape[2] == STRIP]))


def banded(level: float, channels: int = 1, sigma: float = 0.0) -> tuple[Tensor, Tensor]:
    """A scene with row offsets, shared by the channels or not, and white noise; the offsets."""
    rows = torch.randn(channels, 192, 1, generator=generator(1)) * level / 255
    white = torch.randn(3, 192, 192, generator=generator(2)) * sigma / 255
    return stored(0.1 + 0.8 * scene() + rows + white), rows[..., 0].expand(3, -1)


def test_the_offsets_are_those_that_were_added() -> None:
    for level, sigma in ((5.0, 0.0), (15.0, 0.0), (8.0, 15.0)):
        x, truth = banded(level, sigma=sigma)
        rows = found(x)
        assert rows is not None
        left = (rows - truth) - (rows - truth).mean()
        assert float(left.std()) < 0.35 * level / 255
        assert torch.equal(rows[0], rows[2])


def test_each_colour_may_have_its_own() -> None:
    x, truth = banded(8.0, channels=3)
    rows = found(x)
    assert rows is not None
    left = (rows - truth) - (rows - truth).mean(1, keepdim=True)
    assert float(left.std()) < 0.35 * 8 / 255


def test_columns_do_not_pass_for_rows() -> None:
    x, _ = banded(10.0)
    assert found(x.transpose(1, 2)) is None


def test_what_else_is_horizontal_is_none() -> None:
    grid = torch.arange(192)
    for period in (2, 3, 4, 7, 16):
        blinds = 0.3 + 0.4 * ((grid % period) < period / 2).float()
        assert found(blinds[None, :, None].expand(3, 192, 192).contiguous()) is None
    horizon = torch.where(grid < 90, 0.8, 0.3)[None, :, None].expand(3, 192, 192)
    noise = torch.randn(3, 192, 192, generator=generator(3)) * 0.06
    assert found(horizon.contiguous()) is None
    assert found(stored(horizon + noise)) is None
    # A bar code over two thirds of the picture.
    code = 0.5 + 0.3 * torch.randn(1, 192, 1, generator=generator(4)).expand(3, 192, 192)
    part = torch.where(torch.arange(192) < 128, code, torch.tensor(0.5))
    assert found(stored(part)) is None


def test_too_small_a_picture_has_none() -> None:
    x, _ = banded(10.0)
    assert found(x[:, :40]) is None
    assert found(x[:, :, :64]) is None


def test_a_flat_or_black_picture_has_none() -> None:
    assert found(torch.full((3, 128, 128), 0.5)) is None
    assert found(torch.zeros(1, 128, 128)) is None
