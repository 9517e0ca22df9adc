"""What shows nothing is left out before noise is measured."""

import numpy as np

from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.options import Options
from mdn.pipeline.sample import known_part, sample_for_estimation
from mdn.pipeline.windows import filled
from tests.pipeline.tools import load


def test_only_squares_without_an_unknown_sample_are_kept() -> None:
    known = np.ones((200, 300), bool)
    known[70, :] = known[:, 130] = False
    place = np.arange(known.size, dtype=np.float32).reshape(1, *known.shape)
    part = known_part([place], [known])
    assert part is not None
    assert part.shape == (1, 128, 192)  # of 3 x 4 squares of 64 two lines and a row are cut
    shown = part.astype(int).ravel()
    assert known.ravel()[shown].all()
    assert len(set(shown)) == len(shown)


def test_squares_become_smaller_where_little_is_known() -> None:
    known = np.zeros((100, 100), bool)
    planes = [np.ones((3, 100, 100), np.float32)]
    assert known_part(planes, [known]) is None
    known[30:96, 30:96] = True
    part = known_part(planes, [known])
    assert part is not None
    assert part.shape == (3, 64, 64)  # four of 32


def test_the_sample_holds_nothing_that_is_transparent() -> None:
    page = np.full((128, 128, 3), 0.5, np.float32)
    opaque = np.ones((128, 128), bool)
    opaque[:40] = False
    page[~opaque] = 0
    sample = sample_for_estimation(page, lambda x: x, opaque=opaque)
    assert float(sample.min()) == 0.5
    hidden = np.zeros_like(opaque)
    assert sample_for_estimation(page, lambda x: x, opaque=hidden).shape == (3, 128, 128)


def test_noise_of_a_cut_out_is_that_of_the_whole() -> None:
    """Most programs write black where nothing is to be seen."""
    rng = np.random.default_rng(5)
    rows = np.linspace(60, 200, 320)
    clean = np.stack([rows[:, None] + 30 * np.sin(rows / (9 + n)) for n in range(3)], -1)
    noisy = np.rint((clean + rng.normal(0, 20, clean.shape)).clip(0, 255)).astype(np.uint8)
    y, x = np.mgrid[:320, :320]
    opaque = np.hypot(y - 170, x - 150) < 100
    cut = np.where(opaque[..., None], noisy, np.uint8(0))
    alpha = opaque.astype(np.uint8)
    found = restore_page(cut, load("photo-fast"), Options(precision="fp32"), alpha=alpha)
    assert found.noise is not None
    assert abs(255 * found.noise.level - 20) < 3
    error = (found.pixels[opaque].astype(float) - clean[opaque]).std()
    assert error < 0.5 * (cut[opaque].astype(float) - clean[opaque]).std()


def test_unknown_samples_become_the_mean_of_the_nearest() -> None:
    pixels = np.tile(np.arange(8, dtype=np.float32), (8, 1))[..., None]
    good = np.ones(pixels.shape, bool)
    good[:, 5:] = False
    good[2, 2] = False
    found = filled(np.where(good, pixels, np.float32(np.nan)), good, (1,))
    assert found[2, 2, 0] == 2
    assert found[4, 5, 0] == 4
    assert (found[:, 6:] == 0).all()
    assert np.array_equal(found[good], pixels[good])
