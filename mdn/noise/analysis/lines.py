"""What a picture repeats along lines: offsets of rows and columns, and sine waves over all of it.

A sensor's readout leaves the former, a bad cable or mains hum the latter.

Banding is one offset for each row (or column), shared by all of its pixels. It is no picture:
neighbouring rows differ by the same step in every strip of columns,
and the steps are those of independent offsets, each of which goes up and comes down again, so that
one step has a correlation of -1/2 with the next, and none with others. A picture's own steps follow
one another the same way, or belong to some of the strips only, neighbours mostly. And the steps of
banding are of all sizes, as normal numbers are: those of boards, rulings and bar codes are small
but for a few that are large, or all alike.

The offsets are then the least squares solution under two assumptions: their differences are the
steps, but for what the picture adds, which has heavy tails (a horizon is one large step); and they
are independent and normal. That is the Wiener filter for white stripes on a picture that walks at
random from row to row, reweighted for Student's t.

What finds it speaks of rows; for columns the picture is transposed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Wave:
    """The sum of cosine * cos(phase) + sine * sin(phase), nominal range 0..1."""

    # along rows and along columns, cycles a pixel: the phase at (row, column) is 2 pi (frequency[0]
    # row + frequency[1] column)
    frequency: tuple[float, float]
    cosine: tuple[float, ...]  # of each channel
    sine: tuple[float, ...]

    @property
    def sigma(self) -> float:
        """Its standard deviation, nominal range 0..1, over the channels."""
        squares = [a * a + b * b for a, b in zip(self.cosine, self.sine, strict=True)]
        return math.sqrt(sum(squares) / len(squares) / 2)

    @property
    def period(self) -> float:
        """Pixels."""
        return 1 / math.hypot(*self.frequency)

    def moved(self, top: int, left: int) -> Wave:
        """The same wave, whose (0, 0) was the pixel (top, left)."""
        angle = -2 * math.pi * (self.frequency[0] * top + self.frequency[1] * left)
        c, s = math.cos(angle), math.sin(angle)
        pairs = list(zip(self.cosine, self.sine, strict=True))
        cosine = tuple(a * c + b * s for a, b in pairs)
        return Wave(self.frequency, cosine, tuple(b * c - a * s for a, b in pairs))

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """(C, h, w) at these rows and columns of the picture."""
        down, across = self.frequency
        turns = down * rows.double()[:, None] + across * columns.double()
        phase = 2 * math.pi * (turns - turns.floor())
        cosine, sine = (torch.tensor(v, device=rows.device) for v in (self.cosine, self.sine))
        wave = cosine[:, None, None] * phase.cos() + sine[:, None, None] * phase.sin()
        return wave.float()


@dataclass(frozen=True)
class Banding:
    """What a picture repeats along lines, nominal range [0, 1]."""

    rows: Tensor | None = None  # offsets (C, H); None where there are none
    columns: Tensor | None = None  # (C, W), likewise
    waves: tuple[Wave, ...] = ()  # sine waves over the whole picture

    @property
    def sigma(self) -> tuple[float, float]:
        """Standard deviation of the offsets of rows and of columns, nominal range."""
        offsets = (self.rows, self.columns)
        down, across = (0.0 if lines is None else float(lines.std()) for lines in offsets)
        return down, across

    def in_words(self, scale: float = 1.0) -> str:
        """Such as: row banding of sigma 9.1; scale: of black to white that a difference of 1 is."""
        kinds = zip(("row", "column"), self.sigma, strict=True)
        words = [f"{kind} banding of sigma {255 * scale * s:.2g}" for kind, s in kinds if s]
        words += [f"stripes every {wave.period:.3g} pixels" for wave in self.waves]
        return " and ".join(words)

    def cropped(self, rows: slice, columns: slice) -> Banding:
        """That of a part of the picture, which begins at these rows and columns."""
        down = None if self.rows is None else self.rows[:, rows]
        across = None if self.columns is None else self.columns[:, columns]
        start = -rows.start, -columns.start
        return Banding(down, across, tuple(wave.moved(*start) for wave in self.waves))

    def removed(self, planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """(..., C, h, w) of the pixels at these rows and columns of the picture, less all that.

        Samples at 0 and 1 stay: they were cut off, and do not show the offset.
        """
        total = torch.zeros((), device=planes.device)
        if self.rows is not None:
            total = total + self.rows[:, rows, None].to(planes)
        if self.columns is not None:
            total = total + self.columns[:, None, columns].to(planes)
        for wave in self.waves:
            total = total + wave.at(rows, columns).to(planes)
        return torch.where((planes == 0) | (planes == 1), planes, planes - total)


# --- finding offsets -----------------------------------------------------------------------------

STRIP = 32  # columns
FEWEST_STRIPS = 4
FEWEST_ROWS = 64
LAGS = 12  # steps apart up to which a picture's own pattern, such as blinds, would show

# Chosen on training photos, clean and with every kind of noise: of 50 none comes near.
FAINTEST = 1.0 / 255  # deviation of the offsets from which on they are taken for banding..
FAINTEST_COLOUR = 0.7 / 255  # ..and those of one colour against the rest
TURNS = -0.2  # correlation of one step with the next: -0.5 for stripes alone, mostly above 0 else
PATTERN = 0.45  # the largest correlation at another lag that stripes on a picture show
SHARED = 0.5  # covariance of strips far apart over that of neighbours; 1 for stripes
EVERYWHERE = 0.4  # the steps' slope in the worst tenth of the strips; 1 where they are shared
# The median size of a step over the size that one in ten exceeds: 0.41 for normal numbers.
SIZES = (0.15, 0.75)
SEEN = 0.5  # share of a row's samples that must not be cut off, for the others to speak for it
FREEDOM = 3.0  # degrees of freedom of what the picture adds to a step
ROUNDS = 5
FAR = 12  # rows
ROUNDING = 0.3 / 255  # what rounding to 8 bits leaves in a median


def steps(strip: Tensor, *, apart: bool = True) -> Tensor:
    """Of a strip (C, H, w): by how much each row lies above the last, (1 + C, H - 1).

    The first is that of all channels together, and the only one where they are not taken apart. A
    median, and without samples that were cut off: 0 where these are most of a row, as in a page of
    text, whose few shades between ink and paper are no sample of what lies under them.
    """
    cut = (strip <= 0) | (strip >= 1)
    change = strip[:, 1:] - strip[:, :-1]
    if cut.any():
        change = change.masked_fill(cut[:, 1:] | cut[:, :-1], torch.nan)
    changes = _median(change.transpose(0, 1).flatten(1))[None]
    if apart:
        changes = torch.cat([changes, _median(change)])
    return changes.nan_to_num(0.0)


def _median(values: Tensor) -> Tensor:
    """As nanmedian over the last axis, NaN where too few are left.

    numpy's sort of short rows is several times faster than torch's.
    """
    ordered = np.sort(values.numpy(), -1)  # NaNs come last
    if not np.isnan(ordered[..., -1]).any():
        return torch.from_numpy(ordered[..., (ordered.shape[-1] - 1) // 2].copy())
    count = (~np.isnan(ordered)).sum(-1, keepdims=True)
    middle = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, -1)
    middle[count < SEEN * ordered.shape[-1]] = np.nan
    return torch.from_numpy(middle[..., 0])


def is_banded(changes: Tensor) -> bool:
    """Whether the picture has banding; as `offsets`, and one step of each strip is enough."""
    if changes.shape[0] < FEWEST_STRIPS or changes.shape[2] < FEWEST_ROWS - 1:
        return False
    return _stripes(changes[:, 0].double().numpy(), FAINTEST) is not None


def offsets(changes: Tensor) -> Tensor | None:
    """The offsets of the rows (C, H), or None where the picture has no banding.

    changes: (S, 1 + C, H - 1), the `steps` of S strips spread over the picture.
    """
    if changes.shape[0] < FEWEST_STRIPS or changes.shape[2] < FEWEST_ROWS - 1:
        return None
    values = changes.double().numpy()
    together, channels = values[:, 0], values[:, 1:].transpose(1, 0, 2)
    deviation = _stripes(together, FAINTEST)
    if deviation is None:
        return None
    shared = solved(together, deviation)
    result = np.tile(shared, (len(channels), 1))
    for own, steps_ in zip(result, channels, strict=True):
        rest = steps_ - np.diff(shared)
        if (extra := _stripes(rest, FAINTEST_COLOUR)) is not None:
            own += solved(rest, extra)
    return torch.from_numpy(result.astype(np.float32))


def _stripes(changes: np.ndarray, faintest: float) -> float | None:
    """Deviation of the offsets behind the steps (S, n) of the strips; None where they are none."""
    middle = np.median(changes, 0)
    usual, large = np.quantile(np.abs(middle), (0.5, 0.9))
    if not SIZES[0] * large < usual < SIZES[1] * large:
        return None
    middle = calmed(middle)
    halves = [calmed(changes[start::2].mean(0)) for start in (0, 1)]
    power = [float((profile**2).mean()) for profile in (middle, *halves)]
    if min(power) <= 0:
        return None
    # Noise that is independent from pixel to pixel has no part in what two halves share.
    crossed = (halves[0][1:] * halves[1][:-1]).mean() + (halves[1][1:] * halves[0][:-1]).mean()
    variance = -float(crossed) / 2
    lags = [float((middle[k:] * middle[:-k]).mean()) / power[0] for k in range(1, LAGS + 1)]
    banded = (
        variance > faintest**2
        and lags[0] < TURNS
        and max(abs(value) for value in lags[1:]) < PATTERN
        and shared(changes) > SHARED
        and float(np.quantile(slopes(changes), 0.1)) > EVERYWHERE
    )
    return variance**0.5 if banded else None


def slopes(changes: np.ndarray) -> list[float]:
    """Of the steps of each strip of (S, n), on those of all others together."""
    rest = (changes.sum(0) - changes) / (len(changes) - 1)
    pairs = [(calmed(own), calmed(other)) for own, other in zip(changes, rest, strict=True)]
    return [float((y * x).sum()) / max(1e-12, float((x * x).sum())) for y, x in pairs]


def shared(changes: np.ndarray) -> float:
    """How much of what neighbouring strips of (S, n) share is shared by those at both ends too.

    An offset is that of the whole row. Streaks of brushed metal or rain are long, but end.
    """
    calm = np.stack(
        [calmed(change) for change in changes if change.any()]
    )  # others are black or white
    count = len(calm)
    covariance = calm @ calm.T
    apart = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    quarter = max(1, count // 4)
    near = covariance[(apart > 0) & (apart <= quarter)].mean() if count > 1 else 0.0
    return float(covariance[apart >= count - quarter].mean() / near) if near > 0 else 0.0


def calmed(steps_: np.ndarray) -> np.ndarray:
    """Steps cut off at three deviations: a horizon is one step, and would outweigh all stripes."""
    usual = 3 * 1.4826 * float(np.median(np.abs(steps_)))
    return np.clip(steps_, -usual, usual)


def solved(changes: np.ndarray, deviation: float) -> np.ndarray:
    """The offsets (n + 1) behind the steps (S, n), of that deviation."""
    middle = np.median(changes, 0)
    # Over FAR rows the steps of stripes cancel, and those of a picture that walks add up.
    walked = np.convolve(calmed(middle), np.ones(FAR), "valid")
    common = (float((walked**2).mean()) - 2 * deviation**2) / FAR
    # And what it adds to some of the strips: a median of S has pi/2 times the mean's variance.
    apart = 1.4826 * np.median(np.abs(changes - middle), 0)
    own = float((apart**2).mean()) * np.pi / 2 / len(changes)
    spread = max(ROUNDING**2, common, own)
    weight = np.full(len(middle), 1 / spread)
    result = np.zeros(len(middle) + 1)
    for _ in range(ROUNDS):
        result = _tridiagonal(middle, weight, 1 / deviation**2)
        left = middle - np.diff(result)
        weight = (FREEDOM + 1) / (FREEDOM + left**2 / spread) / spread
    return result


def _tridiagonal(changes: np.ndarray, weight: np.ndarray, prior: float) -> np.ndarray:
    """Minimises sum weight (o[r + 1] - o[r] - changes[r])^2 + prior o[r]^2: Thomas's algorithm."""
    diagonal = np.full(len(changes) + 1, prior)
    diagonal[:-1] += weight
    diagonal[1:] += weight
    right = np.zeros(len(changes) + 1)
    right[1:] += weight * changes
    right[:-1] -= weight * changes
    side = (-weight).tolist()
    main, value = diagonal.tolist(), right.tolist()
    for r in range(1, len(main)):
        factor = side[r - 1] / main[r - 1]
        main[r] -= factor * side[r - 1]
        value[r] -= factor * value[r - 1]
    value[-1] /= main[-1]
    for r in range(len(main) - 2, -1, -1):
        value[r] = (value[r] - side[r] * value[r + 1]) / main[r]
    return np.array(value)
