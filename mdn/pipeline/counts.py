"""Denoising measured light: counts of photons, in whatever unit the file has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mdn.encoding import Counts
from mdn.engine.run import RowStream, StdOutput, stream
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.noise.analysis.impulses import fix_hot_pixels
from mdn.pipeline.conditioning import NoiseConditioning, blend_weight
from mdn.pipeline.denoise_tiles import Progress, denoise_tiles, no_progress
from mdn.pipeline.fill import NEAR, filled
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options, geometry, runtime
from mdn.registry.model import Model, Origins


@dataclass(frozen=True)
class Calibration:
    """What is known of one channel of a stack: a function of all its planes together."""

    coding: Counts  # its samples to the net's values and back
    estimate: NoiseEstimate  # of the noise, on the scale that it was made on
    sigma: float  # standard deviation of the noise of encoded values
    spacing: int  # how far apart samples must be for their noise to be independent
    sample: Tensor  # (1, h, w) encoded windows of the channel, for a model that judges the noise

    @property
    def noise(self) -> NoiseConditioning:
        """The noise of encoded values, which is equally strong everywhere."""
        flat = replace(
            self.estimate,
            channel_sigmas=(self.sigma,),
            gain=0.0,
            offset=self.sigma**2,
            curve=(self.sigma**2, 0.0, 0.0),
            signal_dependent=False,
        )
        return NoiseConditioning(self.sigma, blend_weight=blend_weight(self.sigma), estimate=flat)

    def conditioning(self, model: Model, sigma: float | None = None) -> NoiseConditioning:
        """For a model; sigma as the user gave it, nominal range 0..1."""
        if model.abilities.judges_noise:
            # Its strength follows from the stabilised counts, its kind from the judge.
            return judge_sample(self.sample, model, self.sigma if sigma is None else sigma)
        return self.noise if sigma is None else NoiseConditioning(sigma)

    def encoded(self, plane: np.ndarray) -> np.ndarray:
        """A plane (H, W) as stored as a net sees it; what shows nothing is like its neighbours."""
        values = self.coding.encode(plane)
        if not self.coding.has_gaps:
            return values
        return filled(values[..., None], self.coding.measured(plane)[..., None], NEAR)[..., 0]

    def spacing_for(self, model: Model) -> int:
        """Distance of the samples that it sees together; 1 for one that splits pictures itself."""
        return 1 if model.abilities.purpose == "fill" else self.spacing

    def parts(self, plane: np.ndarray, model: Model) -> list[tuple[np.ndarray, NoiseConditioning]]:
        """A plane (H, W) as stored as the model sees it: (h, w, 1) encoded, and its noise."""
        values, s = self.encoded(plane), self.spacing_for(model)
        noise = self.conditioning(model)
        return [(values[i::s, j::s, None], noise) for i in range(s) for j in range(s)]

    def in_words(self, removed: str = "removed") -> str:
        """What was found and is done, in the unit of the file, at the middle brightness."""
        curve, weight = self.coding.curve, self.noise.blend_weight
        if curve is None or weight == 0:
            return "no noise found: unchanged"
        middle = np.array([float(self.sample.median())], np.float32)
        stored = np.full(1, self.coding.high, self.coding.dtype)  # no padding
        x = float(self.coding.decode(middle, stored)[0])
        sigma = max(0.0, curve.gain * x + curve.offset) ** 0.5
        where = f" at brightness {x:.4g}" if curve.gain else ""
        done = removed if weight == 1 else "faint, partly removed"
        return f"noise {sigma:.3g}{where}: {done}"

    def describe(self) -> dict[str, float]:
        """For --json: the line of the noise's variance in the unit of the file."""
        curve = self.coding.curve
        gain, offset = (0.0, 0.0) if curve is None else (curve.gain, curve.offset)
        return {"gain": round(gain, 6), "offset": round(offset, 6), "spacing": self.spacing}


def restore(
    rows: RowStream,
    samples: Sequence[int],
    channels: Sequence[Calibration],
    model: Model,
    options: Options,
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
) -> None:
    """Planes that share their rows, from where they are read to where they go.

    Args:
        rows: the planes; its samples are (h, W, S).
        samples: which of the S are denoised; the others leave as they came.
        channels: for each of those, what is known of it.
        std_output: takes (first row, values, deviation) in the unit of the file.

    Raises:
        OutOfMemoryError: the smallest tile does not fit.
    """
    known = [each.conditioning(model, options.sigma) for each in channels]

    spacings = [each.spacing_for(model) for each in channels]

    def encode(stored: np.ndarray) -> np.ndarray:
        planes = zip(samples, channels, strict=True)
        return np.stack([each.encoded(stored[..., i]) for i, each in planes], -1)

    def clean(tiles: Tensor, origins: Origins) -> Tensor:
        parts = []
        for place, channel in enumerate(channels):
            x = fix_hot_pixels(tiles[:, place : place + 1], channel.sigma)
            noise, spacing = known[place], spacings[place]
            parts.append(denoise_tiles(x, origins, noise, model, options, spacing=spacing))
        # Each part is a mean, and perhaps its deviation: all means come first.
        return torch.stack(parts, 2).flatten(1, 2)

    def decode(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
        result = stored.copy()
        for place, (i, each) in enumerate(zip(samples, channels, strict=True)):
            found = each.coding.decode(values[..., place], stored[..., i], options.strength)
            result[..., i] = found
        return result

    def in_its_unit(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        assert std_output is not None
        parts = [
            each.coding.deviation(values[..., place], deviation[..., place])
            for place, each in enumerate(channels)
        ]
        std_output(start, values, np.stack(parts, -1) * options.strength)

    if std_output is not None:
        rows = replace(rows, std_output=in_its_unit)
    where = geometry(model, options, math.lcm(*spacings))
    stream(clean, where, runtime(model, options), rows, encode, decode, progress)
