"""Masks as a function of the absolute pixel: shares, independence, tiles, seeds."""

import pytest
import torch

from mdn.nets.masking import MaskField, MaskKey, channel_keep


def mask(key: MaskKey, height: int = 64, width: int = 64, batch: int = 1) -> torch.Tensor:
    return MaskField(key, batch, height, width).keep(0, (0.75, 0.75))


def test_share_of_masked_pixels_is_the_ratio() -> None:
    keep = mask(MaskKey(seed=3), 512, 512)
    # Five standard deviations of 512 * 512 Bernoulli draws.
    assert keep.float().mean().item() == pytest.approx(0.25, abs=5 * (0.25 * 0.75) ** 0.5 / 512)


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, 1.0), (1.0, 0.0)])
def test_ratios_at_the_ends_are_exact(ratio: float, kept: float) -> None:
    keep = MaskField(MaskKey(), 1, 256, 256).keep(0, (ratio, ratio))
    assert keep.float().mean().item() == kept


def test_a_crop_has_the_mask_of_the_crop() -> None:
    whole = mask(MaskKey(seed=7, pass_index=2), 48, 40)
    crop = mask(MaskKey(seed=7, pass_index=2, origin=(9, 5)), 20, 30)
    assert torch.equal(crop, whole[:, 9:29, 5:35])


def test_padding_before_the_origin_does_not_move_the_mask() -> None:
    padded = mask(MaskKey(seed=7, origin=(-3, -8)), 40, 40)
    assert torch.equal(padded[:, 3:, 8:], mask(MaskKey(seed=7), 37, 32))


def test_samples_of_a_batch_have_their_own_seed_pass_and_origin() -> None:
    key = MaskKey(torch.tensor([1, 2]), torch.tensor([4, 5]), torch.tensor([[0, 0], [8, 16]]))
    both = mask(key, 16, 16, batch=2)
    assert torch.equal(both[:1], mask(MaskKey(1, 4, (0, 0)), 16, 16))
    assert torch.equal(both[1:], mask(MaskKey(2, 5, (8, 16)), 16, 16))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (MaskKey(seed=0), MaskKey(seed=1)),
        (MaskKey(seed=0), MaskKey(seed=1 << 32)),
        (MaskKey(seed=0), MaskKey(pass_index=1)),
        (MaskKey(seed=1), MaskKey(pass_index=1)),
        (MaskKey(), MaskKey(origin=(1, 0))),
        (MaskKey(), MaskKey(origin=(0, 1))),
        (MaskKey(origin=(1, 0)), MaskKey(origin=(0, 1))),
    ],
)
def test_masks_of_different_keys_are_uncorrelated(one: MaskKey, other: MaskKey) -> None:
    pair = torch.stack([mask(one, 256, 256).flatten(), mask(other, 256, 256).flatten()]).double()
    # The correlation of 65536 independent pairs has a standard deviation of 1/256.
    assert abs(torch.corrcoef(pair)[0, 1].item()) < 5 / 256


def test_layers_and_neighbouring_rows_are_uncorrelated() -> None:
    field = MaskField(MaskKey(seed=11), 1, 256, 256)
    layers = torch.stack([field.keep(i, (0.75, 0.75)).flatten() for i in range(24)]).double()
    off_diagonal = torch.corrcoef(layers) - torch.eye(24, dtype=torch.float64)
    assert off_diagonal.abs().max().item() < 6 / 256
    rows = torch.corrcoef(layers[0].view(256, 256)) - torch.eye(256, dtype=torch.float64)
    assert rows.abs().max().item() < 6 / 16


def test_a_range_of_ratios_is_drawn_per_sample_and_not_per_tile() -> None:
    seeds = torch.arange(2000)
    masked = 1 - MaskField(MaskKey(seeds), 2000, 32, 32).keep(0, (0.2, 0.6)).float().mean((1, 2))
    assert masked.min().item() == pytest.approx(0.2, abs=0.06)
    assert masked.max().item() == pytest.approx(0.6, abs=0.06)
    assert masked.mean().item() == pytest.approx(0.4, abs=0.01)
    assert masked.std().item() == pytest.approx(0.4 / 12**0.5, rel=0.1)
    elsewhere = MaskField(MaskKey(seed=9, origin=(640, 64)), 1, 128, 128).keep(0, (0.2, 0.6))
    here = MaskField(MaskKey(seed=9), 1, 128, 128).keep(0, (0.2, 0.6))
    assert abs(here.float().mean() - elsewhere.float().mean()).item() < 0.03


def test_chance_has_its_probability_and_ignores_the_place() -> None:
    dropped = MaskField(MaskKey(torch.arange(10_000)), 10_000, 1, 1).chance(3, 0.1)
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.015)
    moved = MaskField(MaskKey(torch.arange(10_000), origin=(5, 5)), 10_000, 1, 1).chance(3, 0.1)
    assert torch.equal(dropped, moved)


def test_published_values_never_change() -> None:
    """Pictures made with a seed must stay what they are: the hash is part of the interface."""
    keep = MaskField(MaskKey(seed=42, pass_index=1), 1, 4, 8).keep(3, (0.5, 0.5))
    bits = int("".join(str(int(bit)) for bit in keep.flatten()), 2)
    assert f"{bits:08x}" == "88760ff4"


def test_channel_masks_share_their_ratio_but_not_their_pixels() -> None:
    keep = channel_keep(MaskKey(seed=2), (2, 3, 64, 64), (0.3, 0.3), per_channel=True)
    assert (keep.shape, keep.mean().item()) == ((2, 3, 64, 64), pytest.approx(0.7, abs=0.02))
    assert not torch.equal(keep[:, 0], keep[:, 1])
    assert channel_keep(MaskKey(seed=2), (2, 3, 64, 64), (0.3, 0.3), per_channel=False).shape == (
        2,
        1,
        64,
        64,
    )
    spread = channel_keep(MaskKey(seed=2), (1, 3, 256, 256), (0.1, 0.9), per_channel=True)
    shares = spread.mean((0, 2, 3))
    assert (shares.max() - shares.min()).item() < 0.02
