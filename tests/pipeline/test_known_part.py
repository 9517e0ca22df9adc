"""What shows nothing is left out before noise is measured."""

import numpy as np

from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.options import Options
from tests.pipeline.tools import load


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
    assert abs(255 * found.noise.level - 20) < 3
    error = (found.pixels[opaque].astype(float) - clean[opaque]).std()
    assert error < 0.5 * (cut[opaque].astype(float) - clean[opaque]).std()
