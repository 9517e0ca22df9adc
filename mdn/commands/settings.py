"""What `mdn denoise` was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mdn.batch.running import Job
from mdn.registry.quality import USUAL
from mdn.renders import Wishes
from mdn.stacks.planes import Choice


@dataclass(frozen=True)
class Settings:
    """What `mdn denoise` was asked for.

    Attributes:
        jobs: what to read and write.
        model: a model's name, or the path of a model folder; None for the one of that grade for
            what a file holds: pictures as shown, or counts.
        grade: fast, balanced or best, where no model is named; see registry.quality.
        device, precision: auto, or as `engine.choose_device` and `choose_precision` name them.
        max_memory: bytes the process may hold, or None.
        tile: largest side of a tile in pixels, or None to choose.
        strength: 0 (the input, bit for bit) to 1 (all that the model does).
        detail: 0 to 1: the share of the fine grain that is given back.
        sigma: standard deviation of the noise on the 0-255 scale, for models that are told; None to
            estimate it.
        seed: of the masks that a masked model draws; others ignore it.
        passes: how many looks to average: with other masks, or, where the model has none, of the
            picture turned and mirrored (8 at most). None for one, or as many as the grade needs.
        quality: 1 to 100, for JPEG and WebP.
        encoding: display, counts, or auto: counts for what a microscope measured.
        choice: which planes of a stack, and how its axes are called.
        renders: what was asked of EXR files.
        fail_fast: stop at the first file that fails.
        dry_run: do no work.
    """

    jobs: Sequence[Job]
    model: str | None = None
    grade: str = USUAL
    device: str = "auto"
    precision: str = "auto"
    max_memory: int | None = None
    tile: int | None = None
    strength: float = 1.0
    detail: float = 0.0
    sigma: float | None = None
    seed: int = 0
    passes: int | None = None
    quality: int = 95
    encoding: str = "auto"
    choice: Choice = field(default_factory=Choice)
    renders: Wishes = field(default_factory=Wishes)
    fail_fast: bool = False
    dry_run: bool = False
