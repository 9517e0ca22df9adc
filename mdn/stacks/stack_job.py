"""Denoising stacks: plane by plane, rows by rows, into a copy of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdn import io
from mdn.batch.running import Job, Report
from mdn.batch.uncertainty import Aside, Rows, SpreadMap, spread_map, told_of
from mdn.encoding import Display
from mdn.engine import Strip, stream, strip_of
from mdn.errors import FileError
from mdn.io.stack import Plane, Stack, StackWriter
from mdn.io.tiff.rewrite import rewrite
from mdn.io.tiff.stack import open_stack
from mdn.io.zarr.rewrite import rewrite_zarr
from mdn.io.zarr.stack import ZARR, is_store, open_zarr
from mdn.pipeline.conditioning import Told
from mdn.stacks.calibration import Measured, Region, measure, sample

if TYPE_CHECKING:
    from mdn.commands.denoiser import Denoiser, Part

Maps = list[tuple[Rows, slice]]

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# How stacks of a kind are opened, and how copies of them are written.
_KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "tiff": (open_stack, rewrite),
    ZARR: (open_zarr, rewrite_zarr),
}


def kind_of(job: Job) -> str:
    """What kind of stack a job is about, from file to file; empty where it is none.

    Raises:
        FileError: it would turn a Zarr store into something else, or the other way round.
    """
    if job.source is None or job.target is None:
        return ""
    wanted = job.format or io.format_of(job.target)
    if is_store(job.source) != (wanted == ZARR):
        if wanted == ZARR:
            raise FileError(job.name, "is no Zarr store, as the output is", "write a .tif")
        raise FileError(job.name, "is a Zarr store, and only becomes another", "write a .zarr")
    if wanted == ZARR:
        return ZARR
    try:
        with job.source.open("rb") as file:
            return "tiff" if wanted == "tiff" and file.read(4) in _TIFF else ""
    except OSError:
        return ""  # whoever reads it next says what is wrong


def denoise(denoiser: Denoiser, job: Job, report: Report) -> dict[str, object] | None:
    """Denoise a stack from file to file; None where it is better read as a photo.

    Raises:
        FileError: it cannot be read or written, or has no such planes.
    """
    settings = denoiser.settings
    assert job.source is not None
    assert job.target is not None
    open_it, rewrite_it = _KINDS[kind_of(job)]
    with open_it(job.source, settings.choice.axes, job.name) as stack:
        chosen = settings.choice.of(stack)
        if not settings.choice.given and stack.photo:
            return None
        details = stack.describe() | {"planes": len(chosen)}
        if settings.strength == 0:
            chosen = []
        known = _look(stack, chosen, settings.encoding)
        details["encoding"] = "counts" if known else "display"
        if known:
            denoiser = denoiser.for_counts
            details["model"] = denoiser.card.name
            details["noise"] = {str(key[1]): each.describe() for key, each in known.items()}
        if chosen:
            denoiser.study(partial(_parts, stack, chosen, known, denoiser))
        white = Display(stack.dtype).white
        with (
            rewrite_it(stack, job.target, settings.quality) as out,
            spread_map(job.aside, _one_size(stack, chosen, job), white) as spread,
        ):
            pages = [list(group) for _, group in groupby(enumerate(chosen), key=_page)]
            for index, group in enumerate(pages):
                maps = _maps(spread, group)
                planes = [plane for _, plane in group]
                tell_share = _share(job, report, index, len(pages))
                _denoise_page(denoiser, out, planes, known, maps, tell_share)
        return details | told_of(spread, job, report)


def _page(counted: tuple[int, Plane]) -> tuple[int, int]:
    return counted[1].series, counted[1].number


def _one_size(stack: Stack, chosen: Sequence[Plane], job: Job) -> tuple[int, int, int]:
    """Planes, height and width of the map of deviations, which has a page for each plane."""
    sizes = {plane.shape[:2] for plane in chosen}
    if job.aside is not None and len(sizes) > 1:
        raise FileError(stack.name, "--save-std: its planes differ in size", "choose some of them")
    return (len(chosen), *(sizes.pop() if sizes else (0, 0)))


def _maps(spread: SpreadMap | None, group: Sequence[tuple[int, Plane]]) -> Maps:
    """For each plane of a page: where its deviations go, and its place among the samples."""
    maps, start = [], 0
    for number, plane in group:
        stop = start + len(plane.samples)
        if spread is not None:
            maps.append((spread.page(number), slice(start, stop)))
        start = stop
    return maps


def _aside(maps: Maps, unit: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Aside | None:
    """Hands deviations on to the maps; unit: (values, deviations) as encoded -> as stored."""

    def aside(start: int, values: np.ndarray, deviation: np.ndarray) -> None:
        stored = unit(values, deviation)
        for rows, columns in maps:
            rows(start, stored[..., columns])

    return aside if maps else None


def _share(job: Job, report: Report, index: int, pages: int) -> Callable[[float], None]:
    return lambda share: report.progress(job, (index + share) / pages)


def _look(stack: Stack, chosen: Iterable[Plane], encoding: str) -> dict[tuple[int, int], Measured]:
    """What is to be known of each channel, by series and channel; nothing for pictures as shown."""
    if encoding == "display" or (encoding == "auto" and not stack.measured):
        return {}
    wanted = {(plane.series, plane.channel) for plane in chosen if not plane.colour}
    return {
        key: measure(
            [
                (plane.shape[:2], _region(plane, plane.samples[0]))
                for plane in stack.planes
                if (plane.series, plane.channel) == key
            ],
            stack.dtype,
        )
        for key in sorted(wanted)
    }


def _parts(
    stack: Stack,
    chosen: Sequence[Plane],
    known: dict[tuple[int, int], Measured],
    denoiser: Denoiser,
) -> list[Part]:
    """Windows of the chosen planes, encoded, with what is to be told; see Denoiser.study."""
    parts: list[Part] = []
    for key, planes in groupby(chosen, key=lambda plane: (plane.series, plane.channel)):
        alike = list(planes)
        places = range(len(alike[0].samples))
        stored = [sample([(p.shape[:2], _region(p, p.samples[i])) for p in alike]) for i in places]
        if key in known:
            each = known[key]
            parts += [(each.coding.encode(plane)[..., None], each.told) for plane in stored[0]]
            continue
        encode = Display(alike[0].rows.dtype).encode
        for values in encode(np.stack(stored, -1)):
            told = denoiser.told(torch.from_numpy(values.transpose(2, 0, 1).copy()))
            parts.append((values, told))
    return parts


def denoise_counts(
    denoiser: Denoiser,
    pages: np.ndarray,
    tell_page: Callable[[int, float], None],
    spread: SpreadMap | None = None,
) -> np.ndarray:
    """Pages in memory (P, H, W, C) as stored -> the same, denoised as counts, channel by channel.

    tell_page: told the index of a page and the share of it that is done.
    """
    _ = denoiser.net
    channels = range(pages.shape[-1])
    measured = [
        measure([(page.shape[:2], _part(page[..., c])) for page in pages], pages.dtype)
        for c in channels
    ]
    denoiser.study(
        lambda: [
            (each.coding.encode(plane)[..., None], each.told)
            for c, each in zip(channels, measured, strict=True)
            for plane in sample([(page.shape[:2], _part(page[..., c])) for page in pages])
        ]
    )
    result = np.empty_like(pages)
    for index, (page, clean) in enumerate(zip(pages, result, strict=True)):
        strip = strip_of(page, clean)
        maps = [] if spread is None else [(spread.page(index), slice(None))]
        _counting(denoiser, strip, list(channels), measured, maps, partial(tell_page, index))
    return result


def _part(plane: np.ndarray) -> Region:
    return lambda top, bottom, left, right: plane[top:bottom, left:right]


def _region(plane: Plane, index: int) -> Region:
    def read(top: int, bottom: int, left: int, right: int) -> np.ndarray:
        return plane.rows.read(top, bottom, left, right)[..., index]

    return read


def _denoise_page(
    denoiser: Denoiser,
    out: StackWriter,
    planes: Sequence[Plane],
    known: dict[tuple[int, int], Measured],
    maps: Maps,
    progress: Callable[[float], None],
) -> None:
    """All chosen planes that share the rows of one page."""
    first = planes[0]
    measured = [known[plane.series, plane.channel] for plane in planes] if known else []
    samples = [index for plane in planes for index in plane.samples]
    rows = first.rows
    _ = denoiser.net  # loaded before the engine asks how much memory is taken
    # A line of strips or tiles is held as read, as written, and as encoded.
    reserved = 0 if rows.straight is not None else 4 * min(rows.step, rows.height) * rows.row_bytes
    with out.page(planes) as writer:
        strip = Strip(
            rows.height, rows.width, len(samples), rows.read, writer.write, rows.row_bytes,
            reserved,
        )  # fmt: skip
        if measured:
            _counting(denoiser, strip, samples, measured, maps, progress)
        else:
            _showing(denoiser, strip, samples, first, maps, progress)


def _counting(
    denoiser: Denoiser,
    strip: Strip,
    samples: list[int],
    measured: Sequence[Measured],
    maps: Maps,
    progress: Callable[[float], None],
) -> None:
    """Measurements, each sample of a pixel by its own encoding."""
    strength = denoiser.settings.strength

    def encode(stored: np.ndarray) -> np.ndarray:
        parts = [
            each.coding.encode(stored[..., i]) for i, each in zip(samples, measured, strict=True)
        ]
        return np.stack(parts, -1)

    def decode(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
        result = stored.copy()
        for place, (i, each) in enumerate(zip(samples, measured, strict=True)):
            result[..., i] = each.coding.decode(values[..., place], stored[..., i], strength)
        return result

    def unit(values: np.ndarray, deviation: np.ndarray) -> np.ndarray:
        parts = [
            each.coding.deviation(values[..., place], deviation[..., place])
            for place, each in enumerate(measured)
        ]
        return np.stack(parts, -1) * strength

    infer = denoiser.counting(measured)
    strip = replace(strip, aside=_aside(maps, unit))
    # Tiles must begin where all the samples of a spacing do.
    far = math.lcm(*(denoiser.spacing(each) for each in measured))
    needs = denoiser.needs
    needs = replace(needs, context=needs.context * far, multiple=needs.multiple * far)
    stream(infer, needs, denoiser.runtime, strip, encode, decode, progress)


def _showing(
    denoiser: Denoiser,
    strip: Strip,
    samples: list[int],
    plane: Plane,
    maps: Maps,
    progress: Callable[[float], None],
) -> None:
    """Pictures as they are shown: colour together, others each for itself."""
    coding = Display(plane.rows.dtype)

    def encode(stored: np.ndarray) -> np.ndarray:
        return coding.encode(stored[..., samples])

    def decode(values: np.ndarray, stored: np.ndarray) -> np.ndarray:
        result = stored.copy()
        result[..., samples] = coding.decode(values)
        return result

    def see_noise() -> Told:
        parts = [sample([(plane.shape[:2], _region(plane, i))])[0] for i in samples]
        return denoiser.told(torch.from_numpy(coding.encode(np.stack(parts))))

    infer = denoiser.showing(see_noise, apart=not plane.colour)
    white = np.float32(coding.white)
    strip = replace(strip, aside=_aside(maps, lambda values, deviation: deviation * white))
    stream(infer, denoiser.needs, denoiser.runtime, strip, encode, decode, progress)
