"""Noise of one picture that the net was not trained on, described by a few numbers each.

Sought are stripes of one period, places in 2 x 2 pixels whose samples hold no picture, the steps of
dither, and the brightness that speckle loses at white and Rician noise gains at black. Each counts
only where what one part of the picture says of it holds in another: in other blocks, in samples
that were hidden, in the other half of the samples. The net itself is frozen.
"""

import math
import os
import pickle
import struct
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mdn.engine.run import Encode
from mdn.errors import FileError
from mdn.noise.analysis.brightness import Curve
from mdn.noise.analysis.lines import Banding, Wave
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import judge_sample
from mdn.pipeline.options import Options
from mdn.registry.cards import Card
from mdn.registry.model import Model
from mdn.zeroshot import stripes
from mdn.zeroshot.mosaic import find_places, read_again
from mdn.zeroshot.speckle import find_shift
from mdn.zeroshot.windows import CELL, Trial, is_coarse, middle, remaining_error

WINDOW = 512  # pixels a side of what is looked at, from the middle of the picture
MOST_WAVES = 3


@dataclass(frozen=True)
class NoiseNumbers:
    """What is fitted of the noise, for the picture itself or others of its kind."""

    # of waves, cycles a pixel; their strength and phase are each picture's own
    frequencies: tuple[tuple[float, float], ...] = ()
    # for each channel the places in 2 x 2 pixels that are interpolated, nested; empty for none
    places: tuple[tuple[tuple[bool, ...], ...], ...] = ()
    looks: float = 0.0  # of speckle; 0 for none
    rician: float = 0.0  # sigma of Rician noise, white being 1; 0 for none
    dither: float = 0.0  # distance of the levels between which samples were dithered; 0 for none
    curve: Curve | None = None  # that goes with them, on the brightness of what the net makes
    gain: float = 0.0  # dB, estimated from what the fit changes; 0 where there is nothing
    seconds: float = field(default=0.0, compare=False)  # that it took

    def in_words(self) -> list[str]:
        """What is fitted; empty where there is nothing to do that the plain pass does not."""
        words = [f"stripes every {1 / math.hypot(*f):.3g} pixels" for f in self.frequencies]
        if self.places:
            count = sum(flag for channel in self.places for row in channel for flag in row)
            words.append(f"{count} of {4 * len(self.places)} places of a mosaic interpolated")
        if self.looks:
            words.append(f"speckle of {self.looks:.2g} looks, brightness lost at white")
        if self.rician:
            words.append(f"Rician noise of sigma {255 * self.rician:.2g}, dark places darkened")
        if self.dither:
            words.append(f"dither in steps of {255 * self.dither:.2g}")
        return words


def fit_numbers(
    page: np.ndarray,
    encode: Encode,
    bands: Banding | None,
    noise: NoiseConditioning,
    model: Model,
    options: Options,
    given: NoiseNumbers | None = None,
) -> tuple[NoiseNumbers, Model, NoiseConditioning, Banding | None]:
    """Look at a page (H, W, C) as stored for noise that the model's judge does not know.

    Args:
        bands, noise: as measured without a fit.
        given: those of another picture of this kind: nothing is tested then, and only what
            differs from picture to picture is measured.

    Returns the numbers, and the model, noise and bands that follow from them for this page.
    """
    start = time.monotonic()
    rows, columns = (middle(length, WINDOW) for length in page.shape[:2])
    values = destripe.without(page, encode, bands, rows, columns)
    window = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))
    if not model.abilities.takes_sigma or min(window.shape[1:]) < 2 * CELL:
        return NoiseNumbers(), model, noise, bands
    options = replace(options, passes=1, detail=0.0, strength=1.0, with_std=False)
    trial = Trial(window, model, options)
    x, waves = _without_waves(window, noise, given)
    if waves and given is None and is_coarse(judge_sample(x, model)):
        # A camera smooths its noise, and would have smoothed the wave: stairs.
        x, waves = window, []
    step = stripes.dither_step(x) if given is None else given.dither
    fitted = replace(
        judge_sample(x, model, stripes.DEVIATION * step) if step else noise,
        places=find_places(trial, x, noise) if given is None else _tensor(given.places),
    )
    if waves or fitted.places is not None:
        fitted = read_again(x, fitted, model)
    numbers = NoiseNumbers(
        tuple(wave.frequency for wave in waves),
        () if fitted.places is None else _nested(fitted.places),
        dither=step,
    )
    if given is not None:
        numbers = replace(numbers, looks=given.looks, rician=given.rician, curve=given.curve)
    elif (shifted := find_shift(trial, x, fitted)) is not None:
        shift, curve = shifted
        amount: dict[str, Any] = {shift.family.name: shift.amount}
        numbers = replace(numbers, **amount, curve=curve)
    fitted = replace(fitted, curve=numbers.curve)
    if numbers.in_words():
        before, after = trial.denoised(window, noise), trial.denoised(x, fitted)
        changed = float((before - after).square().mean())
        gain = 10 * math.log10(1 + changed / remaining_error(fitted))
        numbers = replace(numbers, gain=gain)
    if waves:
        moved = tuple(wave.moved(rows.start, columns.start) for wave in waves)
        bands = replace(bands or Banding(), waves=moved)
    numbers = replace(numbers, seconds=time.monotonic() - start)
    return numbers, model, fitted, bands


def _without_waves(
    x: Tensor, noise: NoiseConditioning, given: NoiseNumbers | None
) -> tuple[Tensor, list[Wave]]:
    """The window without waves, and these; its first pixel is their (0, 0)."""
    if noise.reading is not None and noise.reading.clean:
        return x, []  # a grating is a picture where there is no noise
    waves: list[Wave] = []
    sought: Sequence[tuple[float, float] | None] = [None] * MOST_WAVES
    for frequency in sought if given is None else given.frequencies:
        wave = stripes.find(x, frequency)
        if wave is None:
            break
        lines = Banding(waves=(wave,))
        x = lines.removed(x, *(torch.arange(length) for length in x.shape[1:]))
        waves.append(wave)
    return x, waves


def _nested(places: Tensor) -> tuple[tuple[tuple[bool, ...], ...], ...]:
    return tuple(tuple(tuple(row) for row in channel) for channel in places.tolist())


def _tensor(places: tuple[tuple[tuple[bool, ...], ...], ...]) -> Tensor | None:
    return torch.tensor(places) if places else None


# --- fits in files: one of layers that is under way, and one that is done, for other pictures ----

UNREADABLE = pickle.UnpicklingError, struct.error, UnicodeDecodeError
REMEDY = "make one with --save-fit"


def save_parts(path: Path | None, card: Card, parts: dict[str, Any]) -> None:
    """Write the parts, all or nothing, with the model they belong to; no path, no file.

    Raises FileError: it cannot be written.
    """
    if path is None:
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
        with os.fdopen(handle, "wb") as stream:
            torch.save({"model": card.sha256} | parts, stream)
        Path(name).replace(path)
    except OSError as error:
        raise FileError(path, f"cannot be written ({error.strerror})") from error


def load_steps(path: Path | None, card: Card) -> dict[str, Any] | None:
    """The state of a fit of layers that is under way; None where there is nothing yet.

    Raises FileError: it is no such file, or of a fit that began from another model.
    """
    if path is None or not path.exists():
        return None
    return dict(_read(path, card, "steps", "checkpoint of a fit", "leave --resume out"))


def save_fit(
    path: Path | None, card: Card, numbers: NoiseNumbers, layers: dict | None, *, fine: bool
) -> None:
    """Write a fit that is done: numbers, and the layers' weights if they were fitted."""
    save_parts(path, card, {"fit": asdict(numbers) | {"layers": layers, "fine": fine}})


def load_fit(path: Path, card: Card) -> tuple[NoiseNumbers, dict[str, Any] | None, bool]:
    """What `save_fit` wrote: numbers, layers, fine.

    Raises FileError: there is no such file, or it is of another model than the card's.
    """
    if not path.exists():
        raise FileError(path, "--fit: no such file")
    fit = dict(_read(path, card, "fit", "fit of mdn zeroshot", REMEDY))
    layers, fine, curve = fit.pop("layers"), fit.pop("fine", True), fit["curve"]
    names = {part.name for part in fields(NoiseNumbers)}
    if any(fit.pop(key) for key in fit.keys() - names):
        raise FileError(path, "is of an older mdn, for noise that is no longer fitted", REMEDY)
    return NoiseNumbers(**fit | {"curve": Curve(**curve) if curve else None}), layers, fine


def _read(path: Path, card: Card, part: str, kind: str, remedy: str) -> Any:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        model, values = content["model"], content[part]
    except (OSError, RuntimeError, LookupError, TypeError, EOFError, *UNREADABLE) as error:
        raise FileError(path, f"is no {kind}", remedy) from error
    if model != card.sha256:
        problem = f"is of a fit of another model than {card.name}"
        raise FileError(path, problem, "name it with -m")
    return values
