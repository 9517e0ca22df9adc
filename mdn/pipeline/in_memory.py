"""Pictures in memory through the one route: pages of a photo, of an array, of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mdn.encoding import Display, Rec2100, Stretched
from mdn.engine.run import StdOutput
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import neighbours
from mdn.pipeline.calibration import Calibration, calibrate, sample
from mdn.pipeline.channels import Channel, Planes, read_channel
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.denoise_tiles import Progress, no_progress
from mdn.pipeline.models import Models
from mdn.pipeline.neighbours import Brightness, Neighbours, Source
from mdn.pipeline.options import Options
from mdn.pipeline.page import Page, of_array
from mdn.pipeline.part import Part, part_of_counts, takes_neighbours
from mdn.pipeline.plan import Adapter, NoisyPart, Plan, plan_display
from mdn.pipeline.restore import restore
from mdn.registry.model import Model


@dataclass(frozen=True)
class Restored:
    """A page, denoised, and what was done to it."""

    pixels: np.ndarray  # (H, W, C) in the dtype it came in
    plan: Plan

    @property
    def noise(self) -> NoiseConditioning | None:
        """As the model took it; None for a model that takes nothing of the kind."""
        return self.plan.noise

    @property
    def bands(self) -> Banding | None:
        """The offsets of rows and columns that were taken out, or None."""
        return self.plan.part.bands

    def describe(self) -> dict[str, object]:
        """Facts about the noise; see Plan."""
        return self.plan.describe()


@dataclass(frozen=True)
class Picture:
    """Pages of one picture in memory, and what belongs to them."""

    pixels: np.ndarray  # (P, H, W, C) as stored
    alpha: np.ndarray | None = None  # (P, H, W) of the same dtype, or None
    associated: bool = False  # whether the colours were multiplied by alpha
    no_data: float | None = None  # the value of samples that hold nothing, or None
    coding: Display | Rec2100 | None = None  # how it is shown; None: by its dtype
    protect: np.ndarray | None = None  # (H, W), 0..1: 1 where it stays as it is
    # for each page those of its neighbours in time or depth, (H, W, C) each; none where it is empty
    beside: Sequence[Sequence[np.ndarray]] = ()

    def page(self, index: int, result: np.ndarray) -> Page:
        """One page, and the array (H, W, C) that its result goes to."""
        return of_array(
            self.pixels[index],
            result,
            alpha=None if self.alpha is None else self.alpha[index],
            associated=self.associated,
            no_data=self.no_data,
            colour=self.pixels.shape[-1] > 1,
            coding=self.coding,
            protect=self.protect,
        )

    @property
    def gray(self) -> bool:
        """Whether each pixel has one brightness, though it may be stored as three colours."""
        if self.pixels.shape[-1] == 1:
            return True
        return bool((self.pixels == self.pixels[..., :1]).all())


@dataclass(frozen=True)
class Treatment:
    """What a picture was found to be, counted light or as it is shown, and what denoises such."""

    picture: Picture
    channels: tuple[Channel, ...]  # one for all colours of a pixel
    model: Model
    options: Options

    @property
    def calibrations(self) -> list[Calibration]:
        """Of the channels of counted light; none where it is as shown."""
        return [c.calibration for c in self.channels if c.calibration is not None]

    def parts(self, page: Page, adapter: Adapter | None = None) -> tuple[list[Part], Plan | None]:
        """What is to be done to a page of the picture; the plan of one as shown."""
        if self.calibrations:
            return parts_of_counts(page, self.calibrations, self.model, self.options), None
        stretch = self.channels[0].stretch
        plan = plan_display(page, self.model, self.options, adapter, stretch=stretch)
        return [plan.part], plan

    def with_neighbours(self, beside: Sequence[Sequence[np.ndarray]]) -> Treatment:
        """The same with neighbours of each page, (H, W, C) each, if it is counts and they help."""
        if not beside or not self.calibrations or not takes_neighbours(self.model):
            return self
        number = -(-max(map(len, beside)) // 2)
        channels = []
        for place, channel in enumerate(self.channels):
            pairs = [
                (_source(page, place), _source(others[(len(others) - 1) // 2], place))
                for page, others in zip(self.picture.pixels, beside, strict=True)
                if others
            ]
            channels.append(channel.beside_others(pairs, number))
        help_all = all(channel.neighbours for channel in channels)
        picture = replace(self.picture, beside=beside if help_all else ())
        return replace(self, channels=tuple(channels), picture=picture)

    def restore(
        self,
        progress: Callable[[int, float], None] = lambda page, share: None,
        std_outputs: Callable[[int], StdOutput | None] = lambda page: None,
        adapter: Adapter | None = None,
    ) -> tuple[np.ndarray, Plan | None]:
        """All pages, denoised: (P, H, W, C); and the plan of the first, if it is as shown.

        Arguments and errors as of `restore_counts`.
        """
        if self.calibrations:
            result = restore_counts(
                self.picture, self.model, self.options, self.calibrations,
                progress, std_outputs, adapter,
            )  # fmt: skip
            return result, None
        result = np.empty_like(self.picture.pixels)
        first: Plan | None = None
        for index in range(len(result)):
            page = self.picture.page(index, result[index])
            parts, plan = self.parts(page, adapter)
            restore(page, parts, partial(progress, index), std_outputs(index))
            first = first or plan
        return result, first


def treatment(
    picture: Picture, models: Models, encoding: str = "auto", told: Options | None = None
) -> Treatment:
    """What a picture is, and what denoises it.

    Args:
        encoding: as of `read_channel`.
        told: options with what the user says of the noise; None: those of the models.

    Raises ModelError: the weights of the model are damaged.
    """
    channels = channels_of(picture, encoding, models, told or models.options())
    if channels[0].padding is not None:
        picture = replace(picture, no_data=channels[0].padding)
    domain = "display" if channels[0].calibration is None else "counts"
    return Treatment(picture, channels, models.load(domain), models.options(domain))


def _source(page: np.ndarray, channel: int) -> Source:
    """One channel of a page (H, W, C)."""
    return page.shape[:2], lambda top, bottom, left, right: page[top:bottom, left:right, channel]


def channels_of(
    picture: Picture, encoding: str, models: Models, told: Options
) -> tuple[Channel, ...]:
    """What is to be known of each channel of a picture; one for all colours of a pixel."""
    shown = isinstance(picture.coding, Rec2100)
    if encoding == "auto" and told.detector is not None:
        encoding = "counts"  # whoever knows the gain knows that light was counted
    if shown or (encoding == "auto" and not picture.gray):
        return (Channel(),)
    count = 1 if encoding != "counts" and picture.gray else picture.pixels.shape[-1]
    return tuple(
        read_channel(
            planes_of(picture.pixels, channel),
            picture.pixels.dtype,
            encoding,
            models,
            no_data=picture.no_data,
            told=told,
        )
        for channel in range(count)
    )


def planes_of(pages: np.ndarray, channel: int) -> Planes:
    """The planes of one channel of pages (P, H, W, C), each with a way to read a part of it."""

    def read(page: np.ndarray, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return page[top:bottom, left:right, channel]

    return [(page.shape[:2], partial(read, page)) for page in pages]


def restore_page(
    page: np.ndarray,
    model: Model,
    options: Options,
    progress: Progress = no_progress,
    std_output: StdOutput | None = None,
    adapter: Adapter | None = None,
    stretch: Stretched | None = None,
    alpha: np.ndarray | None = None,
) -> Restored:
    """A page (H, W, C) as stored, denoised as it is shown.

    Args:
        std_output: see `restore`. Only with options.with_std.
        adapter: fits the model to the page first.
        stretch: how it is encoded, where it is a plane of a channel; None: found here.
        alpha: (H, W) of the same dtype; what is transparent tells nothing, and stays.

    Raises OutOfMemoryError: the smallest tile does not fit.
    """
    result = np.empty_like(page)
    where = Picture(page[None], None if alpha is None else alpha[None]).page(0, result)
    plan = plan_display(where, model, options, adapter, stretch=stretch)
    restore(where, [plan.part], progress, std_output)
    return Restored(result, plan)


def restore_counts(
    picture: Picture,
    model: Model,
    options: Options,
    calibrations: Sequence[Calibration] | None = None,
    progress: Callable[[int, float], None] = lambda page, share: None,
    std_outputs: Callable[[int], StdOutput | None] = lambda page: None,
    adapter: Adapter | None = None,
) -> np.ndarray:
    """Pages of counts -> (P, H, W, C) of the same dtype, denoised channel by channel.

    Args:
        calibrations: of each channel; measured here where they are not given. One for all, where
            the channels are equal.
        progress: takes the index of a page and the share of it that is done.
        std_outputs: index of a page -> what takes its deviations; see `restore`.
        adapter: fits the model to the pages first.

    Raises OutOfMemoryError: the smallest tile does not fit.
    """
    pages = picture.pixels
    channels = range(pages.shape[-1])
    known = calibrations or [
        calibrate(planes_of(pages, c), pages.dtype, detector=options.detector) for c in channels
    ]
    if adapter is not None:
        model = adapter.to_parts(partial(_windows, pages, known, model), model)
    result = np.empty_like(pages)
    for index in range(len(pages)):
        page = picture.page(index, result[index])
        beside = picture.beside[index] if picture.beside and adapter is None else ()
        parts = parts_of_counts(page, known, model, options, beside)
        restore(page, parts, partial(progress, index), std_outputs(index))
    return result


def parts_of_counts(
    page: Page,
    calibrations: Sequence[Calibration],
    model: Model,
    options: Options,
    beside: Sequence[np.ndarray] = (),
) -> list[Part]:
    """One part for each channel, or one for all where a single calibration stands for them.

    beside: neighbouring pages (H, W, C), of which all channels help.
    """
    count = len(page.samples)
    if len(calibrations) == 1 and count > 1:
        places: list[tuple[int, ...]] = [tuple(range(count))]
    else:
        places = [(place,) for place in range(count)]
    return [
        part_of_counts(page, place, known, model, options, _beside(page, place[0], known, beside))
        for place, known in zip(places, calibrations, strict=True)
    ]


def _beside(
    page: Page, channel: int, known: Calibration, others: Sequence[np.ndarray]
) -> Neighbours | None:
    if not others or page.array is None:
        return None
    own, sources = _source(page.array, channel), [_source(other, channel) for other in others]
    return neighbours.beside(own, sources, known, Brightness(known))


def _windows(
    pages: np.ndarray, calibrations: Sequence[Calibration], model: Model
) -> list[NoisyPart]:
    return [
        part
        for channel, known in enumerate(calibrations)
        for plane in sample(planes_of(pages, channel))
        for part in known.parts(plane, model)
    ]
