"""The range and the noise of a measured channel, before any of it is denoised.

Both are functions of the whole channel, all planes together, so that tiles and slices agree. What
lies far outside of what is usual, what is exactly flat, and what shows nothing plays no part.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from mdn.encoding import Anscombe, Counts, Detector
from mdn.encoding.counts import HIGH, LOW
from mdn.noise.analysis.estimate import SMALLEST_SIDE, NoiseEstimate
from mdn.pipeline import hidden
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.counts_noise import CountsNoise, read_counts
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.page import Region
from mdn.registry.model import Model

PLANES = 16  # looked at, at most, evenly spread over the channel
WINDOW, WINDOWS = 256, 32  # pixels a side; how many of them, planes together
CLIPPED = 1e-4  # share of the samples at an end of the dtype, from which on they count as cut off
LOWEST = 16  # steps, and levels, of the darkest samples, among which padding cannot be told
SURE = 0.01, 99.99  # percentiles that the estimate takes for black and white
# Power of fourth over second differences, each over what white noise has: 1 for white noise, .05
# for noise blurred with a sigma of 2 pixels. Below this there is no noise from pixel to pixel.
ROUGH = 0.1
FEW_PHOTONS = 20.0  # of the middle brightness: below that, light is lost; see restore
MOST_PHOTONS = 24  # in a sample, to be told apart
POISSON = 0.8, 1.25  # variance over mean of photons, in the middle block
WHOLE = 2.0  # logit, that whole multiples of a photon with such variances add
BLOCK = 16  # pixels a side
LEAST_VARIANCE = 1 / 12  # squares of a step of whole numbers: what rounding adds


@dataclass(frozen=True)
class Calibration:
    """What is known of one channel of a stack: a function of all its planes together."""

    coding: Counts  # its samples to the net's values and back
    # what was read of its noise; None where there is nothing to read, or the user said what it is
    reading: CountsNoise | None
    sigma: float  # standard deviation of the noise of encoded values; 0: there is none
    spacing: int  # how far apart samples must be for their noise to be independent
    # (1, h, w) encoded windows of the channel, NaN where nothing is measured
    sample: Tensor = field(compare=False, repr=False)
    flat: int = 0  # pixels a side of a window that is exactly flat by no chance; 0: none is
    # what is said where nothing is done, or nothing
    reason: str = ""
    rough: float = 1.0  # see `roughness`
    # what becomes 0 and 1 where the channel is taken as it is shown, in the unit of the file
    shown_ends: tuple[float, float] = (0.0, 1.0)
    detector: Detector | None = None  # as the user said; None: the noise was read

    @property
    def noise(self) -> NoiseConditioning:
        """The noise of encoded values, which is equally strong everywhere."""
        flat = NoiseEstimate(
            channel_sigmas=(self.sigma,),
            brightness=(),
            variance=(),
            gain=0.0,
            offset=self.sigma**2,
            curve=(self.sigma**2, 0.0, 0.0),
            signal_dependent=False,
            neighbours=(0.0, 0.0),
            correlated=self.spacing > 1,
            low_frequency_sigma=self.sigma,
            impulses=0.0,
            impulsive=False,
        )
        # The unit is the noise: how much of the range it is says nothing.
        return NoiseConditioning(self.sigma, blend_weight=float(self.sigma > 0), estimate=flat)

    @property
    def faint(self) -> bool:
        """Whether most samples are of fewer photons than the transform needs."""
        curve = self.coding.curve
        if curve is None or curve.gain == 0 or self.sigma == 0:
            return False
        # The variance at a brightness, in photons, is their number, and what the camera adds.
        middle = self.coding.low + 0.5 * (self.coding.high - self.coding.low)
        return (curve.gain * middle + curve.offset) / curve.gain**2 < FEW_PHOTONS

    @property
    def limits(self) -> hidden.Limits | None:
        """What is usual among encoded values, beyond which samples stay as they are."""
        return hidden.limits_of(self.sample, self.sigma) if self.sigma else None

    def conditioning(self, model: Model, sigma: float | None = None) -> NoiseConditioning:
        """For a model; sigma as the user gave it, nominal range 0..1."""
        if model.abilities.judges_noise:
            # Its strength follows from the stabilised counts, its kind from the judge.
            told = self.sigma if sigma is None else sigma
            return judge_sample(self.sample, model, told)
        return self.noise if sigma is None else NoiseConditioning(sigma)

    def encoded(self, plane: np.ndarray) -> np.ndarray:
        """A plane (H, W) as stored as a net sees it; what shows nothing is like its neighbours."""
        values = self.coding.encode(plane)
        if not self.coding.has_gaps:
            return values
        x = torch.from_numpy(values)[None, None]
        gaps = torch.from_numpy(~self.coding.measured(plane))[None, None]
        return hidden.filled(x, gaps)[0, 0].numpy()

    def spacing_for(self, model: Model) -> int:
        """Distance of the samples that it sees together; 1 for one that splits pictures itself."""
        return 1 if model.abilities.purpose == "fill" else self.spacing

    def parts(self, plane: np.ndarray, model: Model) -> list[tuple[np.ndarray, NoiseConditioning]]:
        """A plane (H, W) as stored as the model sees it: (h, w, 1) encoded, and its noise."""
        values, s = self.encoded(plane), self.spacing_for(model)
        noise = self.conditioning(model)
        return [(values[i::s, j::s, None], noise) for i in range(s) for j in range(s)]

    def in_words(self, removed: str = "removed") -> str:
        """What was found and is done, in the unit of the file, at the mean brightness."""
        curve = self.coding.curve
        if curve is None or self.sigma == 0:
            return f"no noise found: {self.reason and f'{self.reason}, '}unchanged"
        x = float(self.coding.light(np.array([float(self.sample.nanmean())]))[0][0])
        sigma = max(0.0, curve.gain * x + curve.offset) ** 0.5
        where = f" at brightness {x:.4g}" if curve.gain else ""
        where += ", as given" if self.detector is not None else ""
        return f"noise {sigma:.3g}{where}: {removed}"

    def describe(self) -> dict[str, object]:
        """For --json: of the detector, in the unit of the file, as given or as read."""
        curve, said = self.coding.curve, self.detector or self.reading
        gain = 0.0 if curve is None else curve.gain
        known = said if gain else None
        read = 0.0 if curve is None else max(0.0, curve.offset) ** 0.5
        return {
            "gain": round(gain, 6),
            "offset": None if known is None else round(known.offset, 6),
            "read_noise": round(read if known is None else known.read_noise, 6),
            "uncertainty": 0.0 if self.reading is None else round(self.reading.spread, 3),
            "given": self.detector is not None,
            "spacing": self.spacing,
        }


def calibrate(
    planes: Sequence[tuple[tuple[int, int], Region]],
    dtype: np.dtype,
    no_data: float | None = None,
    detector: Detector | None = None,
) -> Calibration:
    """Look at a channel.

    Args:
        planes: for each of its planes the size (H, W) and a way to read a part of it; all equal.
        no_data: the value of samples that hold nothing, or None.
        detector: what made them, as the user says; None: read from the samples. What the user says
            is taken as it is: nothing in the samples speaks against it.
    """
    stored = sample(planes)
    padding = padding_of(stored) if no_data is None else no_data
    measured = np.isfinite(stored) if dtype.kind == "f" else np.ones(stored.shape, bool)
    measured = measured if padding is None else measured & (stored != padding)
    values = np.where(measured, stored, 0).astype(np.float64)
    usual = hidden.usual_samples(values, measured)
    areas, drawn, side = _flat(values, measured)
    tell = usual & ~areas
    least = _least_light(values[usual], dtype)
    measure = partial(_measured, values, usual, drawn, dtype, padding, least, detector)
    coding, reading, rough, ends_of, reason = measure(tell)
    if coding.curve is not None and few_photons(values, tell) is None:
        # What is drawn over the noise says nothing of it, and shows only once that is measured.
        x = torch.from_numpy(np.where(usual, coding.encode(stored), np.nan)).float()[:, None]
        level = coding.level or 0.0
        strokes = hidden.marks(x, level)
        strokes = strokes | hidden.kept_areas(x, side, level) if side else strokes
        if (tell & strokes[:, 0].numpy()).any():
            tell = tell & ~strokes[:, 0].numpy()
            coding, reading, rough, ends_of, reason = measure(tell)
    encoded = torch.from_numpy(np.where(tell, coding.encode(stored), np.nan).astype(np.float32))
    spacing = 1 if reading is None or coding.curve is None else reading.spacing
    side_by_side = encoded.transpose(0, 1).flatten(1)[None]
    return Calibration(
        coding, reading, coding.level or 0.0, spacing, side_by_side, side, reason, rough, ends_of,
        detector,
    )  # fmt: skip


def _measured(
    values: np.ndarray,
    usual: np.ndarray,
    drawn: bool,
    dtype: np.dtype,
    padding: float | None,
    least: float | None,
    detector: Detector | None,
    tell: np.ndarray,
) -> tuple[Counts, CountsNoise | None, float, tuple[float, float], str]:
    """The coding of planes (P, H, W), what was read of their noise, their roughness, the ends of
    the scale on which they are shown, and why there is no noise.

    Args:
        usual, tell: which samples are no outliers, and which of these tell of the noise.
        drawn: whether all of it is areas of one value.
        detector: what the user says of it, or None.
    """
    finite = values[tell] if tell.any() else values[usual] if usual.any() else np.zeros(1)
    black, white = ends(finite, dtype)
    low, high = (float(value) for value in np.percentile(finite, [LOW, HIGH]))
    high = max(high, low + _least(dtype, low))
    rough = roughness(torch.from_numpy(np.where(tell, (values - black) / (white - black), np.nan)))
    curve, reading = None, None
    reason = ""
    if detector is not None:
        curve = detector.anscombe
    elif min(values.shape[1:]) < SMALLEST_SIDE // 2:
        reason = "too small to measure its noise"
    elif drawn or not tell.any():
        reason = "areas of exactly one value"
    elif rough > ROUGH:
        curve = few_photons(values, tell)
        if curve is None and _is_poster(values, tell):
            reason = "areas of few values"
        else:
            reading = read_counts(values, tell)
            if curve is not None:  # photons that can be told apart leave no doubt of the noise
                likelier = reading.counted + WHOLE
                reading = replace(
                    reading, gain=curve.gain, constant=curve.offset, spread=0.0, counted=likelier
                )
            curve = _curve(reading, low, high, dtype)
    elif dtype.kind == "f":  # what was blurred, interpolated or computed
        reason = "nothing differs from pixel to pixel as noise does"
    # The range of noise that neighbours share would say more than its differences do.
    shared = reading is not None and reading.spacing > 1
    centre = None if shared else float(np.median(finite))
    coding = Counts(dtype, low, high, curve, centre, padding, least)
    return coding, reading, rough, (black, white), reason


def _least_light(usual: np.ndarray, dtype: np.dtype) -> float | None:
    """Below which samples lie as far from the usual ones (n,) as no light does, or None: none can.

    Twice as far as what plays no part in measuring: that may be dark for all that.
    """
    if not usual.size:
        return None
    low, _, spread = hidden.spread_of(usual)
    least = low - 2 * hidden.FAR * max(spread, _least(dtype, low))
    return None if dtype.kind in "iu" and least <= np.iinfo(dtype).min else least


def _flat(values: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, bool, int]:
    """Where planes (P, H, W) are exactly flat, bool; whether they are drawn altogether; and the
    side of a flat window, see `hidden.flat_side`. What is flat may be far brighter than the rest.
    """
    x = torch.from_numpy(np.where(measured, values, np.nan))
    side = max((hidden.flat_side(plane[None]) for plane in x), default=0)
    drawn = all(hidden.is_drawn(plane[None]) for plane in x)
    flat = np.zeros(values.shape, bool)
    if side:
        flat = hidden.flat_areas(x[:, None], side)[:, 0].numpy()
    return flat, drawn, side


def roughness(planes: Tensor) -> float:
    """Power of fourth over second differences of (P, H, W), each over that of white noise.

    Of the calmer half of the blocks without NaN, as edges have all differences; 1 where nothing
    differs.
    """
    found = []
    for x in (planes.double(), planes.double().transpose(1, 2)):
        if x.shape[2] < SMALLEST_SIDE:
            continue
        second = x[..., :-2] - 2 * x[..., 1:-1] + x[..., 2:]
        fourth = second[..., :-2] - 2 * second[..., 1:-1] + second[..., 2:]
        size = fourth.shape[2] // 8 * 8
        blocks = [d[..., :size].square().unflatten(2, (-1, 8)).mean(3).flatten() for d in
                  (second[..., 1:-1], fourth)]  # fmt: skip
        blocks = [block[blocks[1].isfinite()] for block in blocks]
        if not len(blocks[0]):
            continue
        calm = blocks[0] <= blocks[0].median()
        lower, upper = (float(block[calm].mean()) for block in blocks)
        found.append((lower / 6, upper / 70))
    lower, upper = (sum(column) for column in zip(*found, strict=True)) if found else (0.0, 0.0)
    return upper / lower if lower > 0 else 1.0


def sample(planes: Sequence[tuple[tuple[int, int], Region]]) -> np.ndarray:
    """(planes, h, w): windows spread over a channel, all of it where it is small."""
    chosen = np.unique(np.linspace(0, len(planes) - 1, min(PLANES, len(planes))).round())
    height, width = planes[0][0]
    side = max(1, math.isqrt(WINDOWS // len(chosen)))
    tops, lefts = _starts(height, side), _starts(width, side)
    tall, wide = min(WINDOW, height), min(WINDOW, width)
    found = []
    for number in chosen.astype(int):
        read = planes[number][1]
        found.append(np.block([[read(y, y + tall, x, x + wide) for x in lefts] for y in tops]))
    return np.stack(found)


def _starts(length: int, most: int) -> list[int]:
    """Where windows begin along one side: as many as it takes to cover it, or `most`."""
    count = min(most, -(-length // WINDOW))
    last = max(0, length - WINDOW)
    return [round(i * last / max(1, count - 1)) for i in range(count)] if count > 1 else [last // 2]


def padding_of(planes: np.ndarray) -> float | None:
    """The value with which planes (P, H, W) were padded; None where they were not.

    Shifted or turned planes are padded where they show nothing, and dropped ones are empty: whole
    neighbourhoods of one value, far below all that was measured. Where a camera cuts off at black,
    the darkest samples that it measured are near by.
    """
    finite = planes[np.isfinite(planes)]
    if not finite.size:
        return None
    least = finite.min()
    rest = finite[finite > least]
    if not rest.size or rest.min() == rest.max():
        return None
    dark, brighter = np.percentile(rest, [1, 10])
    gap = float(dark) - float(least)
    if gap <= brighter - dark:
        return None
    step = np.diff(np.unique(rest)[:LOWEST]).min()  # 1 where photons are counted one by one
    if gap <= LOWEST * float(step):
        return None
    if min(planes.shape[1:]) < 3:
        return None
    empty = torch.from_numpy(planes == least).float()[:, None]
    inside = (torch.nn.functional.avg_pool2d(empty, 3, 1) == 1).sum()
    return float(least) if inside > 0.5 * empty.sum() else None


def ends(finite: np.ndarray, dtype: np.dtype) -> tuple[float, float]:
    """What the estimate takes for black and white: where values were cut off, exactly there."""
    black, white = (float(value) for value in np.percentile(finite, SURE))
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        black = limits.min if (finite == limits.min).mean() > CLIPPED else black
        white = limits.max if (finite == limits.max).mean() > CLIPPED else white
    return float(black), max(float(white), black + _least(dtype, black))


def _is_poster(values: np.ndarray, tell: np.ndarray) -> bool:
    """Whether planes (P, H, W) have few values, in areas of them."""
    if len(np.unique(values[tell])) > MOST_PHOTONS or min(values.shape[1:]) < 3:
        return False
    equal = [hidden.equality(torch.from_numpy(plane)[None])[0] for plane in values]
    return float(np.mean(equal)) > hidden.POSTER


def few_photons(values: np.ndarray, tell: np.ndarray) -> Anscombe | None:
    """The transform for so few photons that they can be told apart; None where they are more.

    Then all samples are whole multiples of a photon above the darkest, and in each block their
    variance is their mean, in photons.

    Args:
        values: (P, H, W) float64, as stored. tell: likewise, bool; which samples to look at.
    """
    levels = np.unique(values[tell])
    if not 2 <= len(levels) <= MOST_PHOTONS:
        return None
    gain = float(np.diff(levels).min())
    photons = (values - levels[0]) / gain
    if np.abs(levels - levels[0] - gain * np.rint((levels - levels[0]) / gain)).max() > gain / 100:
        return None
    height, width = (side // BLOCK * BLOCK for side in values.shape[1:])
    if not min(height, width):
        return None
    shape = (len(values), height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = photons[:, :height, :width].reshape(shape)
    whole = tell[:, :height, :width].reshape(shape).all((2, 4))
    mean, variance = blocks.mean((2, 4))[whole], blocks.var((2, 4))[whole]
    lit = mean > 1 / BLOCK
    if not lit.any():
        return None
    ratio = float(np.median(variance[lit] / mean[lit]))
    if not POISSON[0] < ratio < POISSON[1]:
        return None
    return Anscombe(gain, -gain * float(levels[0]))


def _least(dtype: np.dtype, value: float) -> float:
    """The least difference that a range can have."""
    return 1.0 if dtype.kind in "iu" else max(abs(value) * 1e-6, 1e-30)


def _curve(reading: CountsNoise, low: float, high: float, dtype: np.dtype) -> Anscombe | None:
    """The transform for the noise that was read, in the unit of the file; None without noise."""
    gain, constant = reading.gain, reading.constant
    least = LEAST_VARIANCE if dtype.kind in "iu" else (1e-6 * (high - low)) ** 2
    middle = gain * (low + high) / 2 + constant
    return Anscombe(gain, constant) if middle > least and (gain > 0 or constant > 0) else None
