"""`mdn denoise --preview`: a few crops, before and after at three strengths, as one picture.

The noise is measured on the whole picture, and the crops come with as much of their surroundings as
the net looks at. So they are what `mdn denoise` would make of these places, in seconds.
"""

import io as streams
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from mdn.batch.dask_run import Work, distribute
from mdn.batch.files import to_stdout
from mdn.batch.running import BatchResult, Job, Report
from mdn.commands.request import Request
from mdn.compare import pictures
from mdn.compare.pictures import Picture
from mdn.compare.places import Place, choose, side_for
from mdn.encoding import Display
from mdn.engine.run import rows_of
from mdn.errors import FileError, UsageError
from mdn.io.atomic import write_bytes
from mdn.pipeline import counts, destripe
from mdn.pipeline.blend import but_for_impulses, shares
from mdn.pipeline.judge import judge
from mdn.pipeline.models import Models
from mdn.pipeline.multiscale import denoise_multiscale
from mdn.pipeline.options import Options
from mdn.pipeline.specialist import specialist
from mdn.registry.model import Model
from mdn.stacks.calibration import calibrate, region_of

GAP = 6  # pixels between crops
HEAD = 26  # pixels of the line of headings
PAPER, INK = (27, 27, 27), (221, 221, 221)
SHARES = (0.5, 0.75, 1.0)  # of the strength that was asked for

# Denoises a part of a picture, which the two slices cut out: (h, w, C) in the unit of the file, at
# full strength and not clipped.
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
    picture = pictures.read(str(job.source), "before")
    if picture.linear:
        raise FileError(job.name, "is a render, of which there is no preview", "use mdn compare")
    if picture.plane[1] > 1:
        report.note(job, f"plane {picture.plane[0]} of {picture.plane[1]} is shown, from 0")
    counted = request.encoding == "counts" or (request.encoding == "auto" and picture.measured)
    domain = "counts" if counted else "display"
    model, options = models.load(domain), models.options(domain)
    if counted:
        options.check_counts(job.name)
    strengths = [share * options.strength for share in SHARES]
    full = replace(options, strength=1.0)
    restore = (_counts if counted else _photo)(picture, model, full)
    places = places_of(picture)
    crops = crops_of(picture, places, restore, strengths, partial(report.progress, job))
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
        "model": model.name,
        "strengths": strengths,
        "places": [(place.left, place.top) for place in places],
    }


def places_of(picture: Picture) -> list[Place]:
    """Where in the picture there is something to see."""
    stored, span = picture.stored, pictures.range_of([picture])
    height, width = stored.shape[:2]
    side = side_for(height, width)

    def read(top: int, left: int, side: int) -> np.ndarray:
        return span.encode(replace(picture, stored=stored[top : top + side, left : left + side]))

    return choose(height, width, side, read)


def crops_of(
    picture: Picture,
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


def _photo(picture: Picture, model: Model, options: Options) -> Restore:
    page = picture.stored
    coding = Display(page.dtype)
    bands = destripe.find(page, coding.encode) if model.abilities.takes_sigma else None
    noise = judge(page, coding.encode, bands, model, options, picture.opaque)
    model = specialist(model, noise)
    scale = 2 ** max(0, len(noise.scales) - 1)  # the coarsest sees so many times as far

    def restore(rows: slice, columns: slice) -> np.ndarray:
        values = destripe.without(page, coding.encode, bands, rows, columns)
        clean = denoise_multiscale(values, noise, model, options)
        if noise.free is not None:
            tile = torch.from_numpy(values.transpose(2, 0, 1)[None].copy())
            free = torch.from_numpy(noise.free[rows, columns].copy())[None, None]
            free = but_for_impulses(free, tile, noise)[0, 0]
            clean = np.where(free.numpy()[..., None], values, clean)
        clean = values + shares(clean - values, options)
        return clean * coding.white  # clipped only once it is mixed

    return _with_surroundings(restore, page.shape, model.halo * scale, model.multiple * scale)


def _counts(picture: Picture, model: Model, options: Options) -> Restore:
    page = picture.stored
    channels = range(page.shape[-1])
    known = [
        calibrate([(page.shape[:2], region_of(page[..., channel]))], page.dtype)
        for channel in channels
    ]
    scale = max(each.spacing for each in known)

    def restore(rows: slice, columns: slice) -> np.ndarray:
        part = np.ascontiguousarray(page[rows, columns])
        clean = np.empty_like(part)
        counts.restore(rows_of(part, clean), channels, known, model, options)
        return clean

    return _with_surroundings(restore, page.shape, model.halo * scale, model.multiple * scale)


def _with_surroundings(
    restore: Restore, shape: tuple[int, ...], margin: int, multiple: int
) -> Restore:
    """Like `restore`, but it sees the part with `margin` pixels around it.

    That begins at a `multiple`, as the tiles of the whole picture do.
    """

    def part(rows: slice, columns: slice) -> np.ndarray:
        wide = [
            slice(
                max(0, each.start - margin) // multiple * multiple,
                min(length, -(-(each.stop + margin) // multiple) * multiple),
            )
            for each, length in zip((rows, columns), shape, strict=False)
        ]
        top, left = rows.start - wide[0].start, columns.start - wide[1].start
        values = restore(*wide)[top:, left:]
        return values[: rows.stop - rows.start, : columns.stop - columns.start]

    return part


def sheet(headings: Sequence[str], rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Crops (h, w, 1 or 3) uint8 of one size, row by row, under the headings of their columns."""
    height, width = rows[0][0].shape[:2]
    across = len(headings) * (width + GAP) - GAP
    made = Image.new("RGB", (across, HEAD + len(rows) * (height + GAP) - GAP), PAPER)
    draw, font = ImageDraw.Draw(made), ImageFont.load_default(15)
    for column, text in enumerate(headings):
        draw.text((column * (width + GAP) + 4, 4), text, INK, font)
    for number, row in enumerate(rows):
        for column, crop in enumerate(row):
            shown = Image.fromarray(crop[..., 0] if crop.shape[-1] == 1 else crop)
            made.paste(shown, (column * (width + GAP), HEAD + number * (height + GAP)))
    return made
