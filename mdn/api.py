"""The Python face: `mdn.denoise`, `mdn.estimate_noise` and `mdn.load_model`.

They do with arrays what the command line does with files, and raise the errors of `mdn.errors`.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mdn import arrays
from mdn.commands import detector, estimate
from mdn.encoding import detector_of
from mdn.errors import UsageError
from mdn.pipeline.in_memory import Picture as Pages
from mdn.pipeline.in_memory import treatment
from mdn.pipeline.models import Models
from mdn.pipeline.neighbours import MOST, NUMBER, indices
from mdn.pipeline.options import Options
from mdn.registry import model as registry

Picture = np.ndarray | str | os.PathLike[str]

ENCODINGS = ("auto", "display", "counts")
_DTYPES = (
    "uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64",
)  # fmt: skip


def denoise(
    picture: Picture,
    model: str | None = None,
    sigma: float | None = None,
    strength: float = 1.0,
    device: str = "auto",
    *,
    axes: str | None = None,
    encoding: str = "auto",
    gain: float | None = None,
    offset: float | None = None,
    read_noise: float | None = None,
    detail: float = 0.0,
    neighbours: int | None = None,
    quality: str = "balanced",
    passes: int | None = None,
    precision: str = "auto",
    max_memory: int | None = None,
    tile: int | None = None,
) -> np.ndarray:
    """Remove the noise of a picture or of a stack of pictures.

    Parameters
    ----------
    picture : array or path
        (H, W), (H, W, C) with C of 1, 3 or 4, or a stack (Z, H, W); see `axes`. Integers span
        their dtype (0..255, 0..65535), floats are nominal 0..1 or, as counts, of any range. The
        fourth colour is alpha and stays as it is. Of a file its pixels are taken.
    model : str, optional
        A name of `mdn models list`, or the path of a model's folder. By default the best for what
        the picture is: "photo", or "cells" for counts.
    sigma : float, optional
        Standard deviation of the noise on the 0-255 scale, where you know it. Estimated otherwise.
    strength : float
        0 (the picture as it is) to 1 (all noise removed); between, the two are mixed. Up to 2 the
        noise is taken for that many times as strong, by models that are told how strong it is.
    device : str
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    axes : str, optional
        What the axes are, one letter each. Y and X are rows and columns, S the colours of a pixel,
        C channels measured one by one; other letters count pictures, such as Z and T. By default
        "YX", "YXS" where the last of three axes has 1, 3 or 4 entries, otherwise "ZYX", and
        "ZYXS" for four axes of which the last has 3 or 4. More axes must be named.
    encoding : str
        "display" for pictures to look at. "counts" for measured light: its noise is stabilised,
        its range kept, and each channel of a stack calibrated over all its planes. "auto" takes
        gray pictures of other dtypes than uint8 as counts, as the command line does with TIFF.
    gain, offset, read_noise : float, optional
        What counted the light, where you know it: what one photo-electron adds to the stored value,
        the stored value without light, and the standard deviation of the noise without light. All
        three or none; with them the picture is taken as counts.
    detail : float
        0 to 1: the share of the fine, colourless grain that is given back.
    neighbours : int, optional
        How many pictures before and after each one help it, where they show the same: 0 to 3. By
        default 3 along an axis T, of counts. Where there is no T, slices along Z, if you give it.
    quality : str
        "fast", "balanced" or "best"; chooses the model where none is named.
    passes : int, optional
        How many results to average: of the picture flipped and rotated (8 at most).
    precision : str
        "auto", "fp32", "bf16" or "fp16".
    max_memory : int, optional
        Bytes that the process may hold.
    tile : int, optional
        Largest side of the tiles in pixels.

    Returns
    -------
    array
        Of the shape and dtype of the picture, which is left as it was.

    Raises
    ------
    mdn.errors.MdnError
        UsageError, FileError, ModelError or OutOfMemoryError, as on the command line.

    Examples
    --------
    >>> clean = mdn.denoise(noisy)
    >>> clean = mdn.denoise("cells.ome.tif", strength=0.8)
    >>> clean = mdn.denoise(stack, axes="TCYX")
    """
    loaded = load_model(
        model,
        device,
        quality=quality,
        passes=passes,
        precision=precision,
        max_memory=max_memory,
        tile=tile,
    )
    return loaded(
        picture,
        sigma=sigma,
        strength=strength,
        axes=axes,
        encoding=encoding,
        gain=gain,
        offset=offset,
        read_noise=read_noise,
        detail=detail,
        neighbours=neighbours,
    )


def load_model(
    name: str | None = None,
    device: str = "auto",
    *,
    quality: str = "balanced",
    passes: int | None = None,
    precision: str = "auto",
    max_memory: int | None = None,
    tile: int | None = None,
) -> Model:
    """Load a model once, to denoise many pictures with it.

    Parameters are those of `denoise`.

    Returns
    -------
    Model
        A function: `model(picture)`.

    Raises
    ------
    mdn.errors.ModelError
        There is no such model, or its weights are damaged.
    mdn.errors.UsageError
        The device is not there, or the model does not denoise.

    Examples
    --------
    >>> model = mdn.load_model("photo-fast")
    >>> clean = [model(frame) for frame in frames]
    """
    options = Options(precision=precision, max_memory=max_memory, tile=tile)
    return Model(Models(name, quality=quality, device=device, options=options, passes=passes))


class Model:
    """A loaded model: call it with a picture. Made by `load_model`."""

    def __init__(self, models: Models) -> None:
        self._models = models
        models.check()
        self._load("display")

    def __repr__(self) -> str:
        return f"<mdn model {self.name}>"

    @property
    def name(self) -> str:
        """Its name; that of the one for photos, where none was named."""
        return self._models.card().name

    def _load(self, domain: str) -> registry.Model:
        if self._models.card(domain).domain == "hdr":
            name = self._models.card(domain).name
            raise UsageError(f"{name} is for EXR files: use mdn denoise for them")
        return self._models.load(domain)

    def __call__(
        self,
        picture: Picture,
        *,
        sigma: float | None = None,
        strength: float = 1.0,
        axes: str | None = None,
        encoding: str = "auto",
        gain: float | None = None,
        offset: float | None = None,
        read_noise: float | None = None,
        detail: float = 0.0,
        neighbours: int | None = None,
    ) -> np.ndarray:
        """Remove the noise of a picture; parameters and errors as `mdn.denoise`."""
        stored = _opened(picture, axes)
        array = stored.pixels
        layout = arrays.layout(array.shape, stored.axes)
        if encoding not in ENCODINGS:
            raise UsageError(f"encoding={encoding!r}: choose one of {', '.join(ENCODINGS)}")
        if neighbours is not None and not 0 <= neighbours <= MOST:
            raise UsageError(f"neighbours={neighbours!r}: choose 0 to {MOST}")
        options = replace(
            self._models.options(),
            sigma=None if sigma is None else sigma / 255,
            detector=detector_of(gain, offset, read_noise),
            strength=strength,
            detail=detail,
        )
        options.check(self._load("display"))
        if strength == 0:
            return np.array(array)
        parts = layout.split(array)
        result = np.array(parts)
        for channel in range(parts.shape[1]):
            pages = parts[:, channel]
            number = 0 if neighbours is None and options.max_memory else neighbours
            beside = _beside(layout, number)
            colours = self._restore(pages, layout, stored, encoding, options, beside)
            result[:, channel, ..., : layout.colours] = colours
        return layout.join(result)

    def _restore(
        self,
        pages: np.ndarray,
        layout: arrays.Layout,
        stored: arrays.Stored,
        encoding: str,
        options: Options,
        beside: list[list[int]],
    ) -> np.ndarray:
        """Pages (P, H, W, samples) of one channel -> their colours (P, H, W, C), denoised."""
        colours = np.ascontiguousarray(pages[..., : layout.colours])
        whole = Pages(
            colours, layout.alpha(pages), stored.associated, stored.no_data, stored.coding
        )
        how = treatment(whole, self._models, encoding, options)
        how = how.with_neighbours([[colours[i] for i in others] for others in beside])
        options = replace(how.options, sigma=options.sigma, detector=options.detector,
                          strength=options.strength, detail=options.detail)  # fmt: skip
        options.check(how.model)
        result, plan = replace(how, options=options).restore()
        for line in () if plan is None else plan.notes:
            warnings.warn(f"{arrays.NAME} {line}; or try encoding='counts'", stacklevel=3)
        return result


@dataclass(frozen=True)
class Noise:
    """The noise of a picture, as `estimate_noise` found it.

    Attributes
    ----------
    sigma : float
        Standard deviation on the 0-255 scale; the root mean square of the channels.
    channels : dict of str to float
        The same for each channel: "gray", or "red", "green" and "blue".
    stored : float
        The same in the unit of the picture's own values.
    by_brightness : bool
        Whether it depends on brightness: photon noise and speckle do.
    correlated : bool
        Whether neighbouring pixels share it: blotches or stripes instead of single grains.
    impulses : float
        Share of the samples that are isolated extremes; 0 where there are not more than usual.
    description : tuple of str
        The same in words, a sentence each.
    gain, offset, read_noise : float or None
        Of the detector, in the unit of the picture's own values: what one photo-electron adds, the
        value without light, and the deviation of the noise without light. Of all pictures of a
        stack, by their differences where they show the same thing. None where no light was counted.
    """

    sigma: float
    channels: dict[str, float]
    stored: float
    by_brightness: bool
    correlated: bool
    impulses: float
    description: tuple[str, ...]
    gain: float | None = None
    offset: float | None = None
    read_noise: float | None = None


def estimate_noise(picture: Picture, *, axes: str | None = None) -> Noise:
    """Estimate how strong the noise of a picture is, and of what kind.

    Parameters
    ----------
    picture, axes
        As for `denoise`. Of a stack the first picture is taken; for the detector all of them, of
        the first channel.

    Raises
    ------
    mdn.errors.MdnError
        The file cannot be read, or the picture has NaN or infinite samples.

    Examples
    --------
    >>> mdn.estimate_noise(noisy).sigma
    """
    stored = _opened(picture, axes)
    layout = arrays.layout(stored.pixels.shape, stored.axes)
    pages = layout.split(stored.pixels)[:, 0]
    first = pages[0]
    page, opaque = first[..., : layout.colours], layout.opaque(first)
    facts: dict[str, Any] = estimate.of_page(page, arrays.NAME, opaque)[1]
    return Noise(
        sigma=facts["level"],
        channels=facts["sigma"],
        stored=facts["stored_level"],
        by_brightness=facts["signal_dependent"],
        correlated=facts["correlated"],
        impulses=facts["impulses"] if facts["impulsive"] else 0.0,
        description=tuple(facts["kind"]),
        **_detector_of(pages),
    )


def _detector_of(pages: np.ndarray) -> dict[str, float]:
    """Gain, offset and read noise of pages (P, H, W, C); empty where there are none."""
    reading = detector.of_file(None, pages, None).get("0")
    return {} if reading is None else asdict(reading.detector)


def _beside(layout: arrays.Layout, number: int | None) -> list[list[int]]:
    """For each page those that help it; none where no page has any."""
    if number == 0:
        return []
    for axis in ("T", "Z") if number else ("T",):
        runs = layout.runs(axis)
        if runs:
            count = NUMBER if number is None else number
            near = {
                run[place]: [run[index] for index in indices(place, len(run), count)]
                for run in runs
                for place in range(len(run))
            }
            return [near[page] for page in sorted(near)]
    return []


def _opened(picture: Picture, axes: str | None) -> arrays.Stored:
    """The pixels, what their axes are, and what a file says of them."""
    if isinstance(picture, str | os.PathLike):
        stored = arrays.read(picture, axes)
        native = stored.pixels.astype(stored.pixels.dtype.newbyteorder("="), copy=False)
        return replace(stored, pixels=native)
    array = np.asarray(picture)
    if array.dtype.name not in _DTYPES:
        problem = f"{arrays.NAME} holds {array.dtype.name}: convert it to uint8, uint16 or float32"
        raise UsageError(problem)
    return arrays.Stored(array, arrays.layout(array.shape, axes).axes)
