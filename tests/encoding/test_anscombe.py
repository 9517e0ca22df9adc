"""The transform against what theory says of it: unit variance, no bias, and its two limits."""

import math

import numpy as np
import pytest

from mdn.encoding import Anscombe


def noisy(mean: float, gain: float, sigma: float, pedestal: float, count: int) -> np.ndarray:
    """Samples of a camera: gain * photons + pedestal + read noise, whose mean is `mean`."""
    rng = np.random.default_rng(round(mean * 7 + gain * 1000))
    photons = rng.poisson((mean - pedestal) / gain, count)
    return gain * photons + pedestal + sigma * rng.standard_normal(count)


CAMERAS = [(1.0, 0.0, 0.0), (1.0, 2.0, 0.0), (2.5, 3.0, 100.0), (0.004, 0.02, 0.1), (12.0, 30.0, 0)]


@pytest.mark.parametrize(("gain", "sigma", "pedestal"), CAMERAS)
@pytest.mark.parametrize("photons", [5, 20, 200])
def test_noise_has_variance_one(gain: float, sigma: float, pedestal: float, photons: int) -> None:
    curve = Anscombe(gain, sigma**2 - gain * pedestal)
    x = noisy(photons * gain + pedestal, gain, sigma, pedestal, 200_000)
    assert curve.forward(x).std() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(("gain", "sigma", "pedestal"), CAMERAS)
@pytest.mark.parametrize("photons", [0.3, 1, 3, 10, 100])
def test_the_inverse_is_unbiased(
    gain: float, sigma: float, pedestal: float, photons: float
) -> None:
    mean = photons * gain + pedestal
    curve = Anscombe(gain, sigma**2 - gain * pedestal)
    x = noisy(mean, gain, sigma, pedestal, 400_000)
    y = np.asarray(curve.forward(x).mean())
    tolerance = 0.03 * math.sqrt(gain**2 * photons + sigma**2)
    assert float(curve.inverse(y)) == pytest.approx(mean, abs=tolerance)
    # What the tolerance is for: the algebraic inverse misses it by a quarter of a photon.
    if photons >= 10 and sigma <= 3 * gain:
        assert mean - float(curve.algebraic(y)) == pytest.approx(gain / 4, rel=0.25)


@pytest.mark.parametrize("gain", [0.0, 1e-12, 1e-7])
def test_without_photons_it_is_a_division_by_sigma(gain: float) -> None:
    curve = Anscombe(gain, 0.04)
    x = np.linspace(-1, 2, 31, dtype=np.float32)
    np.testing.assert_allclose(curve.forward(x), x / 0.2, atol=1e-4)
    np.testing.assert_allclose(curve.inverse(curve.forward(x)), x, atol=1e-5)


@pytest.mark.parametrize(("gain", "offset"), [(1, 0), (3, 50), (2, -200), (0, 9), (1e-3, 1e-4)])
def test_the_algebraic_inverse_takes_back_what_forward_did(gain: float, offset: float) -> None:
    curve = Anscombe(gain, offset)
    least = max(0, -offset / gain) if gain else 0
    x = np.linspace(least, least + 65535, 1001, dtype=np.float32)
    np.testing.assert_allclose(curve.algebraic(curve.forward(x)), x, atol=0.05, rtol=1e-6)
