"""The net that says how strong the noise is: shapes, scale, and what it does not look at."""

from __future__ import annotations

import pytest
import torch

from mdn import nets
from mdn.nets import meter


def net(**config: object) -> meter.Meter:
    torch.manual_seed(0)
    built = nets.build("meter", {"filters": 8, "width": 8} | config)
    assert isinstance(built, meter.Meter)
    return built.eval()


def test_a_level_and_what_is_said_of_it_are_one_another() -> None:
    levels = torch.tensor([0.0, 0.3, 5.0, 60.0])
    assert torch.allclose(meter.level(meter.said(levels)), levels, atol=1e-4)
    assert meter.level(torch.tensor(-9.0)) == 0


def test_one_figure_a_picture_of_any_size() -> None:
    small = net().smallest
    for shape in ((2, 3, small, small), (1, 3, 97, 128), (3, 3, 40, 201), (1, 3, 173, 64)):
        with torch.no_grad():
            assert net()(torch.rand(shape)).shape == shape[:1]


def test_untrained_it_reads_the_calmest_filters() -> None:
    """Ten times the noise then reads ten times as strong, whatever the brightness."""
    with torch.no_grad():
        noise = torch.randn(1, 3, 128, 128)
        weak, strong = (net()(0.5 + sigma / 255 * noise) for sigma in (4, 40))
        bright = net()(0.8 + 4 / 255 * noise)
    assert float(strong - weak) == pytest.approx(3.32, abs=0.1)
    assert float(bright) == pytest.approx(float(weak), abs=0.01)


def test_cells_are_weighed_by_trust() -> None:
    half_noisy = torch.full((1, 3, 128, 128), 0.5)
    half_noisy[..., :64] += 0.1 * torch.randn(1, 3, 128, 64)
    instrument = net()
    with torch.no_grad():
        levels, trust = instrument.cells(half_noisy)
        mean = float(instrument(half_noisy))
    assert levels.shape == trust.shape == (1, 1, 13, 13)
    assert float(levels.min()) < mean < float(levels.max())
    assert mean == pytest.approx(float(levels.mean()), abs=1e-4)  # untrained: all alike


@pytest.mark.parametrize("wrong", [{"side": 4}, {"filters": 0}, {"side": -1}])
def test_a_shape_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        net(**wrong)
