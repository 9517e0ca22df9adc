"""`mdn denoise --preview`: a few crops, before and after at three strengths, as one picture.

The noise is measured on the whole picture, and the crops come with as much of their surroundings as
the net looks at. So they are what `mdn denoise` would make of these places, in seconds.
"""

import io as streams
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mdn.commands.request import Request
from mdn.compare import pictures
from mdn.compare.pictures import View
from mdn.errors import FileError, UsageError
from mdn.io import exr
from mdn.io.atomic import write_bytes
from mdn.jobs.dask_run import Work, distribute
from mdn.jobs.files import to_stdout
from mdn.jobs.job import BatchResult, Job, Report
from mdn.pipeline.in_memory import Picture, Treatment, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.part import Part
from mdn.pipeline.restore import CELL, reach, restore
from mdn.renders import frame
from mdn.renders.exr_job import is_render

GRID = 14  # candidates along the longer side, at most
MIDDLE = 96  # pixels a side of the middle of a candidate, which is measured
MOST, LEAST = 256, 96  # pixels a side of a place
BLOCK = 8  # pixels a side of the blocks whose means separate detail from noise
CLIPPED = 0.2  # share of black or white samples from which on there is nothing to see

# (top, left, side) -> (side, side, C) of a picture, encoded, nominal range 0..1.
Read = Callable[[int, int, int], np.ndarray]


@dataclass(frozen=True)
class Place:
    """A square part of a picture, by its top left corner in pixels, and what it shows."""

    top: int
    left: int
    # in units of white
    texture: float = 0.0  # how much pixels differ within a block, in the middle one of all
    contrast: float = 0.0  # how much the means of blocks differ
    brightness: float = 0.0  # the mean
    clipped: float = 0.0  # share of the samples that are black or white


def side_for(height: int, width: int) -> int:
    """The side of the places, such that several fit into a picture."""
    shorter = min(height, width)
    return min(MOST, max(min(LEAST, shorter), shorter // 3))


def choose(height: int, width: int, side: int, read: Read) -> list[Place]:
    """Up to four places: a flat one, the finest detail, a shadow, and strong edges.

    A picture is measured in small windows, so that 100 megapixels take no longer than one.
    side: of the places, in pixels; less where the picture is smaller.
    """
    step = max(1, side // 4, max(height, width) // GRID)
    rests = [max(0, length - side) for length in (height, width)]
    tops, lefts = (np.unique(np.linspace(0, r, 1 + r // step).astype(int)) for r in rests)
    places = [_measure(int(top), int(left), side, read) for top in tops for left in lefts]
    rich = [place for place in places if place.clipped < CLIPPED] or places
    middle = float(np.median([place.brightness for place in rich]))
    bright = [place for place in rich if place.brightness >= middle]
    rankings: list[tuple[list[Place], Callable[[Place], float]]] = [
        (bright, lambda place: -place.texture),
        (rich, lambda place: place.texture),
        (rich, lambda place: -place.brightness),
        (rich, lambda place: place.contrast),
    ]
    chosen: list[Place] = []
    for candidates, rank in rankings:
        apart = [place for place in candidates if all(_apart(place, c, side) for c in chosen)]
        if apart:
            chosen.append(max(apart, key=rank))
    return chosen


def _measure(top: int, left: int, side: int, read: Read) -> Place:
    inset = max(0, side - MIDDLE) // 2
    values = read(top + inset, left + inset, min(side, MIDDLE))
    gray = values.mean(-1)
    tall, wide = (length // BLOCK * BLOCK for length in gray.shape)
    if not tall or not wide:
        return Place(top, left, brightness=float(gray.mean()))
    blocks = gray[:tall, :wide].reshape(tall // BLOCK, BLOCK, wide // BLOCK, BLOCK)
    texture = float(np.median(blocks.std((1, 3))))
    contrast = float(blocks.mean((1, 3)).std())
    clipped = float(np.mean((values <= 0) | (values >= 1)))
    return Place(top, left, texture, contrast, float(gray.mean()), clipped)


def _apart(one: Place, other: Place, side: int) -> bool:
    return max(abs(one.top - other.top), abs(one.left - other.left)) >= side


GAP = 6  # pixels between crops
HEAD = 26  # pixels of the line of headings
PAPER, INK = (27, 27, 27), (221, 221, 221)
SHARES = (0.5, 0.75, 1.0)  # of the strength of the command

# Denoises a part of a picture, which the two slices cut out: (h, w, C) as stored, at full strength.
Restore = Callable[[slice, slice], np.ndarray]


def run(
    jobs: Sequence[Job],
    request: Request,
    report: Report,
    *,
    fail_fast: bool = False,
    dry_run: bool = False,
    dask: str | None = None,
) -> BatchResult:
    """Write the preview of each job's image; arguments and errors as of commands.denoise.run."""
    work = partial(prepare, request)
    return distribute(jobs, work, report, dask, fail_fast=fail_fast, dry_run=dry_run)


def prepare(request: Request) -> Work:
    """What writes the preview of one image. Raises as `run`."""
    if request.planes.given:
        raise UsageError(f"{request.planes.given}: --preview shows the first plane; leave it out")
    models = request.models()
    models.check()
    return partial(preview, request, models)


def preview(request: Request, models: Models, job: Job, report: Report) -> dict[str, object]:
    """Write one preview; facts about it.

    Raises FileError: the file cannot be read, or has no preview.
    """
    if job.source is None:
        raise FileError(job.name, "a preview is made of a file", "name it")
    strengths = [share * models.options().strength for share in SHARES]
    progress = partial(report.progress, job)
    if is_render(job):
        picture, part, name = _of_render(job, request, models, progress)
    else:
        if given := request.renders.given:
            report.note(job, f"{given} is for EXR files and does nothing here")
        picture = pictures.read(str(job.source), "before")
        if picture.plane[1] > 1:
            report.note(job, f"plane {picture.plane[0]} of {picture.plane[1]} is shown, from 0")
        how = treatment_of(picture, models, request.encoding, job.name)
        parts, _ = how.parts(how.picture.page(0, np.empty_like(picture.stored)))
        part, name = partial(_part, how.picture, parts), how.model.name
    places = places_of(picture)
    crops = crops_of(picture, places, part, strengths, progress)
    titles = ["before", *(f"--strength {strength:.3g}" for strength in strengths)]
    stream = streams.BytesIO()
    sheet(titles, crops).save(stream, "PNG")
    if job.target is None:
        to_stdout(stream.getvalue())
    else:
        write_bytes(job.target, stream.getvalue(), overwrite=job.overwrite)
    height, width = picture.stored.shape[:2]
    return {
        "width": width,
        "height": height,
        "megapixels": round(height * width / 1e6, 6),
        "model": name,
        "strengths": strengths,
        "places": [(place.left, place.top) for place in places],
    }


def _of_render(
    job: Job, request: Request, models: Models, progress: Callable[[float], None]
) -> tuple[View, Restore, str]:
    """The beauty of an EXR file, what denoises a part of it, and the model's name.

    All of it is denoised: nets for renders take longer to load than to run.
    """
    assert job.source is not None
    wanted = replace(request.renders, keep_sums=False)
    planned = frame.plan(exr.read(job.source, name=job.name), wanted)
    layer = planned.targets[0]
    planned = replace(planned, targets=[layer])
    model, options = models.load("hdr"), models.options("hdr")
    options.check(model)
    constants = frame.measure(planned)
    cleaned = frame.clean(planned, model, options, wanted, constants, progress)
    full = replace(options, strength=1.0)
    result, _, _ = frame.finished(planned, cleaned, full, wanted)
    before, after = (layer.pixels(file) for file in (planned.file, result))
    picture = View("before", job.name, before, linear=True, curve=wanted.view)
    return picture, lambda rows, columns: after[rows, columns], model.name


def places_of(picture: View) -> list[Place]:
    """Where in the picture there is something to see."""
    stored, span = picture.stored, pictures.range_of([picture])
    height, width = stored.shape[:2]
    side = side_for(height, width)

    def read(top: int, left: int, side: int) -> np.ndarray:
        return span.encode(replace(picture, stored=stored[top : top + side, left : left + side]))

    return choose(height, width, side, read)


def crops_of(
    picture: View,
    places: Sequence[Place],
    restore: Restore,
    strengths: Sequence[float],
    progress: Callable[[float], None],
) -> list[list[np.ndarray]]:
    """For each place what it shows before, and after at each strength: (h, w, C) uint8."""
    span = pictures.range_of([picture])
    side = side_for(*picture.stored.shape[:2])
    rows = []
    for number, place in enumerate(places):
        where = slice(place.top, place.top + side), slice(place.left, place.left + side)
        before = picture.stored[where].astype(np.float64)
        change = restore(*where) - before
        shown = [before + strength * change for strength in (0.0, *strengths)]
        encoded = [span.encode(replace(picture, stored=part)) for part in shown]
        rows.append([(255 * values + 0.5).astype(np.uint8) for values in encoded])
        progress((number + 1) / len(places))
    return rows


def treatment_of(picture: View, models: Models, encoding: str, name: str) -> Treatment:
    """What is to be done to the whole picture, at full strength.

    Raises FileError where counts are to be treated as colours.
    """
    alpha = None if picture.alpha is None else picture.alpha[None]
    whole = Picture(picture.stored[None], alpha, picture.associated, picture.no_data)
    how = treatment(whole, models, encoding)
    if how.calibrations:
        how.options.check_counts(name)
    return replace(how, options=replace(how.options, strength=1.0))


def _part(whole: Picture, parts: Sequence[Part], rows: slice, columns: slice) -> np.ndarray:
    """Rows and columns of a picture, denoised: (h, w, C).

    They are seen with what the net looks at around them, from a place on where the tiles of the
    whole picture could begin.
    """
    scale = max(part.spacing for part in parts)
    margin = scale * max(part.model.halo for part in parts) + reach(parts)
    multiple = scale * math.lcm(CELL, *(part.model.multiple for part in parts))
    wide = [
        slice(
            max(0, where.start - margin) // multiple * multiple,
            min(length, -(-(where.stop + margin) // multiple) * multiple),
        )
        for where, length in zip((rows, columns), whole.pixels.shape[1:3], strict=True)
    ]
    around = np.ascontiguousarray(whole.pixels[:, wide[0], wide[1]])
    alpha = None if whole.alpha is None else whole.alpha[:, wide[0], wide[1]]
    clean = np.empty_like(around[0])
    page = replace(whole, pixels=around, alpha=alpha).page(0, clean)
    restore(page, [part.cropped(page, wide[0], wide[1]) for part in parts])
    top, left = rows.start - wide[0].start, columns.start - wide[1].start
    return clean[top : top + rows.stop - rows.start, left : left + columns.stop - columns.start]


def sheet(headings: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Crops (h, w, 1 or 3) uint8 of one size, row by row, under the headings of their columns."""
    height, width = rows[0][0].shape[:2]
    across = len(headings) * (width + GAP) - GAP
    page = Image.new("RGB", (across, HEAD + len(rows) * (height + GAP) - GAP), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(15)
    for column, text in enumerate(headings):
        draw.text((column * (width + GAP) + 4, 4), text, INK, font)
    for number, row in enumerate(rows):
        for column, crop in enumerate(row):
            shown = Image.fromarray(crop[..., 0] if crop.shape[-1] == 1 else crop)
            page.paste(shown, (column * (width + GAP), HEAD + number * (height + GAP)))
    return page
