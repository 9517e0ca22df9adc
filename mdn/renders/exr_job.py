"""The job of one EXR file, from the disk to the disk."""

import sys
from collections import Counter
from typing import Any

import numpy as np

from mdn.encoding import Display, Srgb
from mdn.image import Image
from mdn.io import exr
from mdn.io.exr.layers import Layer
from mdn.jobs.files import content, output_format_for, save, to_stdout
from mdn.jobs.job import Job, Report
from mdn.pipeline.denoise_tiles import no_progress
from mdn.pipeline.options import Options
from mdn.registry.model import Model
from mdn.renders import frame
from mdn.renders.options import AUTO, RenderOptions, twice
from mdn.renders.sequence import Sequence

UNGUIDED = "no albedo or normal found: denoised by colour alone; --albedo and --normal name them"


def is_render(job: Job) -> bool:
    """Whether a job's input is an OpenEXR file by its content; standard input is peeked at."""
    if job.source is None:
        peek = getattr(sys.stdin.buffer, "peek", None)
        return peek is not None and exr.is_exr(peek(4)[:4])
    try:
        with job.source.open("rb") as stream:
            return exr.is_exr(stream.read(4))
    except OSError:
        return False  # reading it as a picture says what is wrong


def denoise(
    job: Job,
    report: Report,
    model: Model,
    options: Options,
    asked: RenderOptions,
    sequence: Sequence,
    jpeg_quality: int,
) -> dict[str, object]:
    """Denoise one file; facts about it.

    Args:
        sequence: what the frames of a sequence share; of single files nothing is kept.
        jpeg_quality: where the output is a JPEG or a WebP.

    Raises FileError: as `exr.read` and `frame.plan`.
    """
    form = output_format_for(job, "exr")
    file = exr.read(content(job) if job.source is None else job.source, name=job.name)
    planned = frame.plan(file, asked, needed=options.strength > 0 or form != "exr")
    constants = sequence.constants(asked, job) or frame.measure(planned)

    def clean(one: frame.Planned) -> frame.Cleaned:
        progress = (lambda share: report.progress(job, share)) if one is planned else no_progress
        return frame.clean(one, model, options, asked, constants, progress)

    if options.strength == 0:
        cleaned, light = frame.Cleaned({}, {}, Counter()), None
    elif asked.motion and planned.targets:
        cleaned, light = sequence.blended(planned, job, asked, clean)
    else:
        cleaned, light = clean(planned), None
    result, changed, odd = frame.finished(planned, cleaned, options, asked, light)
    bad = " and ".join(f"{odd[key]} {key}" for key in ("nan", "infinite") if odd[key])
    if bad:
        report.note(job, f"{bad} samples rebuilt from their neighbours")
    if found := odd["fireflies"]:
        more = "" if asked.clamp_fireflies else "; --clamp-fireflies 0 leaves them"
        told = "1 firefly" if found == 1 else f"{found} fireflies"
        report.note(job, f"{told} clamped to the light around them{more}")
    if asked.layers in ((), (AUTO,)):
        for line in twice(file, planned.found).values():
            report.note(job, line)
    if model.card.domain != "hdr" and asked.tonemap == "hdr":
        report.note(
            job, f"{model.name} knows no noise of renders; without --model `render` is used"
        )
    if asked.keep_sums and not planned.sums:
        report.note(job, "--keep-sums: no layers were found that add up to the beauty")
    if form == "exr":
        data, notes = exr.write(result, job.target, changed, overwrite=job.overwrite)
        for line in notes:
            report.note(job, line)
        if job.target is None:
            to_stdout(data)
    else:
        _save_picture(job, report, result, planned, form, jpeg_quality)
    details = _details(planned, changed, odd, constants)
    details |= {"model": model.name, "strength": options.strength}
    lines = _explained(details) if asked.explain else []
    asks = changed and asked.albedo == asked.normal == AUTO
    first = not sequence.jobs or job.name == sequence.jobs[0].name
    if asks and first and (alone := _unguided(planned)):
        some = len(alone) < len(planned.targets)
        lines = [f"{', '.join(alone)}: {UNGUIDED}" if some else UNGUIDED, *lines]
    return details | ({"summary": lines} if lines else {})


def _unguided(planned: frame.Planned) -> list[str]:
    """The names of the layers to denoise that have neither albedo nor normal."""
    return [
        layer.name
        for layer, sources in planned.guides.items()
        if not {source.role for source in sources} & {"albedo", "normal"}
    ]


def _save_picture(
    job: Job, report: Report, result: exr.Exr, planned: frame.Planned, form: str, jpeg_quality: int
) -> None:
    layer = planned.targets[0]
    image, clipped = picture(result, layer, form)
    more = f", {clipped} samples beyond 0..1 clipped" if clipped else ""
    others = len(planned.found) - 1
    left = f"; {others} other layers left out" if others else ""
    report.note(job, f"{form.upper()} keeps {layer.name} as sRGB{more}{left}")
    save(job, image, report, jpeg_quality=jpeg_quality)


def _details(
    planned: frame.Planned,
    changed: frozenset[tuple[int, str]],
    odd: Counter[str],
    constants: frame.Constants,
) -> dict[str, Any]:
    file = planned.file
    pixels = sum(int(np.prod(part.shape)) for part in file.headers.parts)
    height, width = file.headers.parts[0].shape
    return {
        "width": width,
        "height": height,
        "parts": len(file.parts),
        "channels": sum(len(part) for part in file.parts),
        "megapixels": round(pixels / 1e6, 6),
        "layers": frame.mapping(planned, changed),
        "odd_samples": dict(odd),
        "exposure": next(iter(constants.exposures.values()), 1.0),
        **({"exposures": dict(constants.exposures)} if len(constants.exposures) > 1 else {}),
        "sums": [
            [
                term.name if colour is None else f"{term.name} x {colour.name}"
                for term, colour in zip(each.terms, each.factors, strict=True)
            ]
            for each in planned.sums
        ],
    }


def _explained(details: dict[str, Any]) -> list[str]:
    """The mapping of layers to roles, a line each, and what was found on the way."""
    rows = details["layers"]
    wide = max((len(row["layer"]) for row in rows), default=0)
    lines = [
        f"{row['layer']:<{wide}}  {row['role']:<11}  {row['fate']}  ({' '.join(row['channels'])})"
        for row in rows
    ]
    lines += [f"sum kept: {' + '.join(terms)}" for terms in details["sums"]]
    lines += [f"{count} {key} samples" for key, count in details["odd_samples"].items()]
    several = details.get("exposures", {"": details["exposure"]})
    named = ((f"exposure {scene}".rstrip(), light) for scene, light in several.items())
    return [*lines, *(f"{name} {light:.4g}" for name, light in named)]


def picture(file: exr.Exr, layer: Layer, format: str) -> tuple[Image, int]:
    """A layer as a display picture, sRGB and straight alpha, and how many samples were clipped."""
    light = np.nan_to_num(layer.pixels(file).astype(np.float32), nan=0, posinf=1, neginf=0)
    alpha = None
    if layer.alpha:
        cover = np.nan_to_num(file.parts[layer.part][layer.alpha].astype(np.float32))
        alpha = np.clip(cover, 0, 1)
        cover = np.where(alpha > 0, alpha, 1)[..., None]
        light = (light / cover).astype(np.float32)  # renders premultiply
    clipped = int(((light < 0) | (light > 1)).sum())
    display = Display(np.dtype(np.uint16 if format in ("png", "tiff") else np.uint8))
    shown = display.decode(Srgb().encode(light)[..., :3])
    planes = None if alpha is None else display.decode(alpha)[None]
    return Image(shown[None], planes, name=file.name, format=format), clipped
