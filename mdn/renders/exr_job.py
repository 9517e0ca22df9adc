"""The job of one EXR file, from the disk to the disk."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mdn.batch.files import content, output_format_for, save
from mdn.batch.running import Job, Report
from mdn.io import exr
from mdn.renders import frame
from mdn.renders.options import Wishes
from mdn.renders.picture import picture
from mdn.renders.sequence import Shot


def may_take(job: Job) -> bool:
    """Whether a job's input is an OpenEXR file by its content; standard input is peeked at."""
    if job.source is None:
        peek = getattr(sys.stdin.buffer, "peek", None)
        return peek is not None and exr.is_exr(peek(4)[:4])
    try:
        with job.source.open("rb") as stream:
            return exr.is_exr(stream.read(4))
    except OSError:
        return False  # reading it as a picture says what is wrong


@dataclass
class Renders:
    """Denoises EXR files one after the other.

    Attributes:
        net: see `frame.Net`.
        model: its name, for the report.
        wishes: what was asked of renders.
        strength: 0 to 1.
        quality: for JPEG and WebP.
        shot: what the frames of a shot share; of single files nothing is kept.
    """

    net: frame.Net
    model: str
    wishes: Wishes
    strength: float
    quality: int
    shot: Shot = field(default_factory=Shot)

    def denoise(self, job: Job, report: Report) -> dict[str, object]:
        """One file. Raises FileError, as `exr.read` and `frame.plan` do."""
        form = output_format_for(job, "exr")
        file = exr.read(content(job) if job.source is None else job.source, name=job.name)
        planned = frame.plan(file, self.wishes, needed=self.strength > 0 or form != "exr")
        constants = self._constants(planned)
        progress: Callable[[float], None] = lambda share: report.progress(job, share)  # noqa: E731
        after = self.shot.blender(planned, job, self.wishes)
        result, changed, odd = frame.denoise(
            planned, self.net, self.wishes, constants, self.strength, progress, after
        )
        for line in _remarks(odd):
            report.note(job, line)
        if form == "exr":
            data, notes = exr.write(result, job.target, changed, overwrite=job.overwrite)
            for line in notes:
                report.note(job, line)
            if job.target is None:
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
        else:
            self._save_picture(job, report, result, planned, form)
        return self._details(planned, changed, odd, constants)

    def _constants(self, planned: frame.Planned) -> frame.Constants:
        return self.shot.constants(self.wishes) or frame.measure(planned)

    def _save_picture(
        self, job: Job, report: Report, result: exr.Exr, planned: frame.Planned, form: str
    ) -> None:
        layer = planned.targets[0]
        image, clipped = picture(result, layer, form)
        more = f", {clipped} samples beyond 0..1 clipped" if clipped else ""
        others = len(planned.found) - 1
        left = f"; {others} other layers left out" if others else ""
        report.note(job, f"{form.upper()} keeps {layer.name} as sRGB{more}{left}")
        save(job, image, report, jpeg_quality=self.quality)

    def _details(
        self,
        planned: frame.Planned,
        changed: frozenset[tuple[int, str]],
        odd: Counter[str],
        constants: frame.Constants,
    ) -> dict[str, object]:
        file = planned.file
        pixels = sum(int(np.prod(part.shape)) for part in file.headers.parts)
        height, width = file.headers.parts[0].shape
        details: dict[str, Any] = {
            "width": width,
            "height": height,
            "parts": len(file.parts),
            "channels": sum(len(part) for part in file.parts),
            "megapixels": round(pixels / 1e6, 6),
            "layers": frame.mapping(planned, changed),
            "odd_samples": dict(odd),
            "exposure": constants.exposure,
            "sums": [[term.name for term in each.terms] for each in planned.sums],
            "model": self.model,
            "strength": self.strength,
        }
        if self.wishes.explain:
            details["told"] = _explained(details)
        return details


def _remarks(odd: Counter[str]) -> list[str]:
    lines = []
    bad = [f"{odd[key]} {key}" for key in ("nan", "infinite") if odd[key]]
    if bad:
        lines.append(f"{' and '.join(bad)} samples rebuilt from their neighbours")
    if odd["beyond the range"]:
        lines.append(f"{odd['beyond the range']} samples beyond the range of half floats clipped")
    return lines


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
    return [*lines, f"exposure {details['exposure']:.4g}"]
