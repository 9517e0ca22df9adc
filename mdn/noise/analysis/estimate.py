"""Blind estimation: how strong a picture's noise is, and of what kind, from the picture alone."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mdn.errors import UsageError
from mdn.noise.analysis import autocorrelation, blocks, impulses
from mdn.noise.analysis.autocorrelation import Autocorrelation
from mdn.noise.analysis.blocks import VarianceCurve

SMALLEST_SIDE = 16  # pixels

# Thresholds chosen on training photos, on which every kind of noise was tried.
CLIPPED_SHARE = 1e-4  # of the samples at 0 or 1, from which on noise counts as cut off
CORRELATED = 0.25  # correlation of neighbours
SMOOTH = 2.2  # low over high frequency energy in the flattest blocks; 1 or less for white noise
FAINT = 1.5 / 255  # sigma below which rounding to 8 bits, not noise, rules how neighbours differ
ROUNDED = 0.4 / 255  # sigma below which it is rounding to 8 bits that depends on brightness
DEPENDENT_SLOPE = 0.12  # relative spread of the variance that brightness explains
DEPENDENT_SURE = 4.5  # the line's slope in standard errors
CHOICES = ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])  # which powers a curve may have
IMPULSIVE = 1e-3  # share of the samples


@dataclass(frozen=True)
class NoiseEstimate:
    """What the noise of a picture looks like; all of it in the nominal range [0, 1]."""

    # Standard deviation of each channel, without the impulses; for noise that depends on brightness
    # the root of the mean variance over the picture.
    channel_sigmas: tuple[float, ...]
    # Noise variance against brightness, channels together: one entry for each bin of brightness
    # that has flat blocks.
    brightness: tuple[float, ...]
    variance: tuple[float, ...]
    gain: float  # of the line variance = gain * brightness + offset through them
    offset: float
    # (a, b, c), none below 0, of variance = a + b * brightness + c * brightness^2 through them:
    # what is added, what comes of counting, what multiplies.
    curve: tuple[float, float, float]
    signal_dependent: bool  # whether that line, and not a constant, describes the variance
    neighbours: tuple[float, float]  # correlation of vertical and of horizontal ones
    correlated: bool  # whether the noise is smoothed, striped or compressed, not white
    # Standard deviation of the white noise that has as much power at low frequencies, root mean
    # square of the channels: the sigma of white noise, and up to three times the sigma of noise
    # that went through a 3x3 mean. What smoothing cannot remove.
    low_frequency_sigma: float
    impulses: float  # share of the samples that became isolated extremes
    impulsive: bool  # whether that is more than a photo's own sparkle

    @property
    def sigma(self) -> float:
        """One for the picture: the root mean square of the channels'."""
        return _root_mean([value * value for value in self.channel_sigmas])


def estimate(x: Tensor) -> NoiseEstimate:
    """The noise of a picture x (C, H, W), float, nominal range [0, 1].

    Meant for noise of sigma 2 to 60 (0-255 scale). The finest texture of a clean picture looks like
    weak noise, and gets a small sigma. Raises UsageError when x is smaller than 16 pixels or
    holds samples that are not finite.
    """
    if x.ndim != 3 or min(x.shape[1:]) < SMALLEST_SIDE:
        raise UsageError(
            f"the noise of a picture of shape {tuple(x.shape)} cannot be estimated: "
            f"it needs (C, H, W) with at least {SMALLEST_SIDE} pixels a side"
        )
    if not bool(torch.isfinite(x).all()):
        raise UsageError("the noise cannot be estimated: the picture holds NaN or infinite samples")
    x = x.detach().float().cpu()
    clipped = is_clipped(x)
    marks = [impulses.find(plane) for plane in x]
    shares = [share for _, share in marks if share is not None]
    share = sum(shares) / len(shares) if shares else 0.0
    planes = [impulses.filled(plane, mask) for plane, (mask, _) in zip(x, marks, strict=True)]
    curves = [blocks.measure(plane, clipped) for plane in planes]
    correlations = [autocorrelation.measure(plane, clipped) for plane in planes]
    neighbours, correlated = _correlation(curves, correlations)
    gain, offset, dependent = _line(curves)
    sigmas = [
        _variance(curve, correlation, correlated) ** 0.5
        for curve, correlation in zip(curves, correlations, strict=True)
    ]
    smooth = [correlation.low_frequency for correlation in correlations if correlation is not None]
    low = _root_mean(smooth) if correlated else _root_mean([value**2 for value in sigmas])
    brightness, variance = _together(curves)
    return NoiseEstimate(
        tuple(sigmas),
        brightness,
        variance,
        gain,
        offset,
        _curve(curves),
        dependent,
        neighbours,
        correlated,
        low,
        share,
        share > IMPULSIVE,
    )


def is_clipped(x: Tensor) -> bool:
    """Whether x was cut off at 0 and 1: nothing lies beyond, and some samples lie exactly there."""
    beyond = bool(((x < 0) | (x > 1)).any())
    return not beyond and float(((x == 0) | (x == 1)).float().mean()) > CLIPPED_SHARE


def _root_mean(squares: list[float]) -> float:
    return (sum(squares) / len(squares)) ** 0.5


def _mean(values: Tensor, weight: Tensor) -> float:
    return float((values * weight).sum() / weight.sum().clamp(min=1e-12))


def _correlation(
    curves: list[VarianceCurve], correlations: list[Autocorrelation | None]
) -> tuple[tuple[float, float], bool]:
    """Mean correlations (vertical, horizontal) of the channels, and whether they are the noise's.

    A picture's texture makes neighbours alike as well, but leaves some place flat; smoothed noise
    lacks high frequencies everywhere. So both measures must point to correlated noise.
    """
    rows = []
    for curve, correlation in zip(curves, correlations, strict=True):
        if correlation is not None and len(curve.variance):
            texture = curve.flattest_texture
            rows.append(
                (correlation.vertical, correlation.horizontal, texture, correlation.variance)
            )
    if not rows:
        return (0.0, 0.0), False
    vertical, horizontal, texture, variance = (
        sum(column) / len(rows) for column in zip(*rows, strict=True)
    )
    smooth = max(vertical, horizontal) > CORRELATED and texture > SMOOTH
    return (vertical, horizontal), smooth and variance > FAINT**2


def _variance(curve: VarianceCurve, correlation: Autocorrelation | None, correlated: bool) -> float:
    """Noise variance of one channel. Only white noise shows all of itself in high frequencies."""
    if correlated and correlation is not None:
        return correlation.variance
    if len(curve.variance) == 0:
        return 0.0
    gain, offset, dependent = _line([curve])
    if not dependent:
        return _mean(curve.variance, curve.weight)
    # Trust decides which line, and the picture's own brightness where on it the picture lies.
    return max(0.0, _mean(gain * curve.brightness + offset, curve.count))


def _joined(curves: list[VarianceCurve]) -> tuple[Tensor, Tensor, Tensor]:
    """Brightness, variance and weight of the bins of all curves."""
    columns = [(c.brightness, c.variance, c.weight) for c in curves]
    brightness, variance, weight = (torch.cat(column) for column in zip(*columns, strict=True))
    return brightness, variance, weight


def _line(curves: list[VarianceCurve]) -> tuple[float, float, bool]:
    """Weighted least-squares line (gain, offset) of variance on brightness; whether it matters."""
    x, y, weight = _joined(curves)
    if len(x) == 0:
        return 0.0, 0.0, False
    middle, level = _mean(x, weight), _mean(y, weight)
    spread = _mean((x - middle) ** 2, weight)
    if len(x) < 3 or spread <= 0 or level <= ROUNDED**2:
        return 0.0, level, False
    gain = _mean((x - middle) * (y - level), weight) / spread
    offset = level - gain * middle
    total = _mean((y - level) ** 2, weight)
    explained = gain**2 * spread
    slope = gain * spread**0.5 / level
    sure = explained * (len(x) - 2) > DEPENDENT_SURE**2 * (total - explained)
    return gain, offset, slope > DEPENDENT_SLOPE and sure


def _curve(curves: list[VarianceCurve]) -> tuple[float, float, float]:
    """The best (a, b, c) that are not below 0, by weighted least squares.

    With three unknowns the one right choice of those that are 0 is found by trying all.
    """
    x, y, weight = _joined(curves)
    if len(x) == 0:
        return 0.0, 0.0, 0.0
    # Errors of a variance grow with it: without this the brightest bins alone would count.
    weight = weight / y.clamp(min=1e-8) ** 2
    powers = torch.stack([torch.ones_like(x), x, x * x], 1)
    best, least = (0.0, 0.0, 0.0), math.inf
    for chosen in CHOICES:
        used = powers[:, chosen] * weight[:, None].sqrt()
        factors = torch.linalg.lstsq(used, (y * weight.sqrt())[:, None], driver="gelsd").solution
        if bool((factors < 0).any()):
            continue
        all_three = torch.zeros(3, dtype=factors.dtype)
        all_three[chosen] = factors[:, 0]
        error = float((weight * (powers @ all_three - y) ** 2).sum())
        if error < least:
            best, least = tuple(all_three.tolist()), error
    return best


def _together(curves: list[VarianceCurve]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The channels' curves as one: weighted means in each bin of brightness."""
    x, y, weight = _joined(curves)
    place = (x * blocks.BINS).floor().clamp(0, blocks.BINS - 1)
    bins = [place == number for number in place.unique()]
    brightness = tuple(_mean(x[chosen], weight[chosen]) for chosen in bins)
    return brightness, tuple(_mean(y[chosen], weight[chosen]) for chosen in bins)
