"""How good a denoiser is on a picture without a clean version: self-supervised scores.

- Renoised error, which ranks: the median of all results is taken for the truth, noise as it was
  estimated is added to it, and each denoiser's result is compared with the median (a parametric
  bootstrap, Efron 1979). All are scored on one noise, which is known exactly.
- SURE: an unbiased estimate of the mean squared error for white Gaussian noise (Stein 1981), its
  divergence from one random probe (Ramani, Blu & Unser, "Monte-Carlo SURE", IEEE TIP 2008). With a
  variance for each pixel it serves noise that depends on brightness, to first order.
- Masked-pixel error: some pixels are replaced from their neighbours, and the result there is
  compared with the pixel as it was. The denoiser has not seen its noise, so the error is the true
  one plus the noise's variance (Noise2Self, Batson & Royer 2019, section 3).
- Residual whiteness: what was taken away should look like the noise: no correlation of neighbours.
- Where neighbours share the noise none of these serves; there the distance to the result of `photo`
  ranks, see `nearness`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch

from mdn.bench.no_reference import nearness
from mdn.noise.analysis import impulses
from mdn.noise.analysis.clipping import clipped_variance
from mdn.noise.analysis.estimate import NoiseEstimate, is_clipped

STRIDE, RUNS = 4, 2  # one pixel in 4 x 4 is replaced at a time, in two runs
PROBE = 0.2  # length of the probe in standard deviations of the noise: denoisers are not smooth
SHORTEST = 1.5 / 255  # for those that round to 8 bits
FARTHEST = 2  # pixels up to which neighbours of the residual are compared
BLUR = 5  # pixels a side over which brightness is averaged before the variance is read off it
BLOCK = 16  # pixels a side of the parts of a picture that confidence is counted over
RESAMPLED, FEWEST_BLOCKS = 400, 9  # times; fewer blocks say nothing
FLOOR = 1e-6  # the smallest error: estimates may fall below 0
FAINTEST = 0.3 / 255  # noise below which no score says anything

Denoise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scores:
    """The scores of one denoiser on one picture without its clean version."""

    # estimated mean squared error, white being 1; None where the noise is impulsive or too weak, or
    # cannot be made anew. Below 0 is possible: it is an estimate.
    sure: float | None
    # the masked-pixel error less the noise's variance; None where neighbours share noise
    masked: float | None
    # root mean square correlation of the residual with itself, 0 for white; None where neighbours
    # share noise or nothing was taken away
    whiteness: float | None
    # standard deviation of the residual, in those of the noise, or of what the reference took away
    taken: float
    # (scores that rank, blocks of the picture), their mean squared errors
    blocks: np.ndarray | None = None
    # the renoised error; None as `sure`, and for noise that neighbours share
    renoised: float | None = None
    # where neighbours share the noise: the result less the reference, (H, W, C); see `nearness`
    away: np.ndarray | None = None

    @property
    def distance(self) -> float | None:
        """Mean squared distance to the reference, where there is one. No error, but ranks."""
        return None if self.away is None else float((self.away**2).mean())

    @property
    def error(self) -> float | None:
        """What ranks: the distance, the renoised error, or else the mean decibels of the others.

        Those err in different ways: SURE by its estimate of the variance, the masked error by what
        a denoiser loses that cannot see the pixel. One alone where there is no other.
        """
        for found in (self.distance, self.renoised):
            if found is not None:
                return found
        known = [each for each in (self.sure, self.masked) if each is not None]
        return float(_combined(np.array(known))) if known else None


def _combined(errors: np.ndarray) -> np.ndarray:
    """(scores, ...) -> their geometric mean; one alone as it is, even below 0."""
    return errors[0] if len(errors) == 1 else np.exp(np.log(errors.clip(min=FLOOR)).mean(0))


def confidence(first: Scores, others: Sequence[Scores], seed: int = 0) -> float | None:
    """How sure it is that the first has the smallest error of all: 0 to 1.

    Where distances rank it is that of the least sure pair, see `nearness.sureness`. Elsewhere:
    The picture's blocks are drawn anew with repetition, the same for all, and the share of draws is
    counted in which the first stays first (bootstrap, Efron 1979). It knows how much the picture's
    places disagree, and nothing of a wrong estimate of the noise. None where a score is missing.
    """
    if first.away is not None:
        rivals = [each.away for each in others if each.away is not None]
        return min(nearness.sureness(first.away, each) for each in rivals)
    blocks = [each.blocks for each in (first, *others)]
    if any(each is None or each.shape != blocks[0].shape for each in blocks):  # type: ignore[union-attr]
        return None
    table = np.stack(blocks)  # type: ignore[arg-type]  # (methods, scores, blocks)
    count = table.shape[2]
    if count < FEWEST_BLOCKS:
        return None
    drawn = np.random.default_rng(seed).multinomial(count, [1 / count] * count, RESAMPLED)
    errors = table @ drawn.T / count  # (methods, scores, draws)
    ranks = np.stack([_combined(each) for each in errors])
    return float((ranks.argmin(0) == 0).mean())


def psnr(error: float | None) -> float | None:
    """Decibels of a mean squared error, white being 1; FLOOR stands for all that are below it."""
    return None if error is None else -10 * math.log10(max(error, FLOOR))


def estimate_scores(
    denoise: Denoise,
    noisy: np.ndarray,
    noise: NoiseEstimate,
    seed: int = 0,
    reference: np.ndarray | None = None,
) -> Scores:
    """Scores of one denoiser on one picture.

    Args:
        denoise: float32 (H, W, C), nominal 0..1, to the same.
        noisy: such a picture, at least 16 pixels a side.
        noise: the estimate of its noise.
        seed: of the probe and the places of the masks; the same for all that are compared.
        reference: where neighbours share the noise, see `nearness`; then nothing else is scored.
    """
    random = np.random.default_rng(seed)
    if reference is not None:
        answer = denoise(noisy)
        removed = max(float((noisy - reference).std()), 1e-6)
        taken = float((noisy - answer).std()) / removed
        return Scores(None, None, None, taken, away=answer - reference)
    variance = variance_map(noisy, noise)
    strength = float(np.sqrt(variance.mean()))
    answer = denoise(noisy).astype(np.float64)
    residual = noisy - answer
    sure = masked = whiteness = None
    maps = []
    if not noise.correlated and strength > FAINTEST:
        if not noise.impulsive:
            made = np.sqrt(variance) * random.choice(np.array([-1.0, 1.0]), noisy.shape)
            step = max(SHORTEST / strength, PROBE)
            moved = denoise((noisy + step * made).astype(np.float32)).astype(np.float64)
            # Twice the covariance of noise and result: 0 where all of the noise is removed.
            maps.append(residual**2 - variance + 2 * made * (moved - answer) / step)
            sure = float(maps[-1].mean())
        errors = _masked(denoise, noisy, _no_impulse(noisy, noise), random)
        masked = float(np.nanmean(errors)) - float(variance.mean())
        maps.append(errors - variance.mean())
        whiteness = _whiteness(residual / np.sqrt(variance))
    taken = float(residual.std()) / strength if strength > 0 else 0.0
    blocks = np.stack([_by_block(each) for each in maps]) if maps else None
    return Scores(sure, masked, whiteness, taken, blocks)


def renoise(truth: np.ndarray, noisy: np.ndarray, noise: NoiseEstimate, seed: int) -> np.ndarray:
    """`truth` (H, W, C) with white noise as strong as that of `noisy`, within the same range."""
    random = np.random.default_rng(seed)
    deviation = np.sqrt(variance_map(noisy, noise))
    again = truth + deviation * random.standard_normal(truth.shape)
    return again.clip(noisy.min(), noisy.max()).astype(np.float32)


def with_renoised(scores: Scores, answer: np.ndarray, truth: np.ndarray) -> Scores:
    """The scores with the renoised error, which then ranks; answer: to `renoise(truth, ...)`."""
    errors = (answer.astype(np.float64) - truth) ** 2
    blocks = _by_block(errors)[None]
    return replace(scores, renoised=float(errors.mean()), blocks=blocks)


def variance_map(noisy: np.ndarray, noise: NoiseEstimate) -> np.ndarray:
    """The noise's variance at each sample of (H, W, C), white being 1, as the estimate has it.

    What clipping to 0..1 took is left out: near black and white less noise is in the picture.
    """
    bright = _blurred(noisy)
    if noise.signal_dependent:
        a, b, c = noise.curve
        shown = bright.clip(0, 1)
        variance = a + b * shown + c * shown**2
    else:
        level = np.array(noise.channel_sigmas, np.float64)
        variance = np.broadcast_to(level**2, noisy.shape)
    if is_clipped(torch.from_numpy(noisy)):
        pair = (torch.from_numpy(each.ravel().copy()) for each in (bright, variance))
        variance = clipped_variance(*pair).numpy().reshape(noisy.shape)
    return variance.clip(min=1e-12)


def _masked(
    denoise: Denoise, noisy: np.ndarray, counted: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Squared errors at replaced pixels against the noisy samples there, where those are counted.

    NaN elsewhere.
    """
    around = _neighbours(noisy)
    errors = np.full(noisy.shape, np.nan)
    for place in random.choice(STRIDE * STRIDE, RUNS, replace=False):
        row, column = divmod(int(place), STRIDE)
        where = (slice(row, None, STRIDE), slice(column, None, STRIDE))
        hidden = noisy.copy()
        hidden[where] = around[where]
        errors[where] = (denoise(hidden)[where].astype(np.float64) - noisy[where]) ** 2
    return np.where(counted, errors, np.nan)


def _by_block(values: np.ndarray) -> np.ndarray:
    """Means of (H, W, C) over blocks, in one row; what no block fills is left out.

    A block in which nothing is known takes the mean of all.
    """
    rows, columns = (length // BLOCK for length in values.shape[:2])
    parts = values[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK, -1)
    sums, counts = np.nansum(parts, (1, 3, 4)), np.isfinite(parts).sum((1, 3, 4))
    mean = sums.sum() / max(1, counts.sum())
    return np.where(counts > 0, sums / np.maximum(counts, 1), mean).ravel()


def _no_impulse(noisy: np.ndarray, noise: NoiseEstimate) -> np.ndarray:
    """Which samples are no impulses: what becomes of those says nothing of a denoiser."""
    if not noise.impulsive:
        return np.ones(noisy.shape, bool)
    planes = torch.from_numpy(np.ascontiguousarray(noisy.transpose(2, 0, 1)))
    found = torch.stack([impulses.find(plane)[0] for plane in planes])
    return ~found.numpy().transpose(1, 2, 0)


def _neighbours(noisy: np.ndarray) -> np.ndarray:
    """The mean of the four nearest neighbours of each pixel."""
    grown = np.pad(noisy, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    total = grown[:-2, 1:-1] + grown[2:, 1:-1] + grown[1:-1, :-2] + grown[1:-1, 2:]
    return (total / 4).astype(noisy.dtype)


def _whiteness(residual: np.ndarray) -> float | None:
    """Root mean square of the residual's correlations at all lags up to FARTHEST but 0."""
    residual = residual - residual.mean((0, 1))
    power = float((residual**2).mean())
    if power <= 1e-12:
        return None
    height, width = residual.shape[:2]
    found = []
    for down, across in product(range(FARTHEST + 1), range(-FARTHEST, FARTHEST + 1)):
        if (down, across) <= (0, 0):
            continue  # the other half is the same
        left, right = max(0, -across), width - max(0, across)
        here = residual[: height - down, left:right]
        there = residual[down:, left + across : right + across]
        found.append(float((here * there).mean()) / power)
    return float(np.sqrt(np.mean(np.square(found))))


def _blurred(noisy: np.ndarray) -> np.ndarray:
    """Means over BLUR x BLUR pixels, mirrored at the border; float64."""
    reach = BLUR // 2
    grown = np.pad(noisy.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(grown, (BLUR, BLUR), (0, 1))
    return windows.mean((-1, -2))
