"""`mdn denoise`: images in, the same images out, only clean."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mdn.encoding import Display
from mdn.engine import Infer, Needs, Runtime, choose_device, choose_precision
from mdn.engine import run as run_engine
from mdn.errors import FileError, UsageError
from mdn.registry import store
from mdn.registry.cards import Card
from mdn.registry.load import load as load_net
from mdn.tasks import stacks
from mdn.tasks.batch import BatchResult, Job, Report, run_batch
from mdn.tasks.counts import Measured, mending, spaced
from mdn.tasks.files import describe, load, save
from mdn.tasks.grain import REACH, grain
from mdn.tasks.planes import Choice
from mdn.tasks.remarks import remarks
from mdn.tasks.renders import Wishes
from mdn.tasks.renders.clean import Coding
from mdn.tasks.renders.shot import Shot
from mdn.tasks.renders.work import Renders
from mdn.tasks.renders.work import may_take as is_render
from mdn.tasks.told import Told, look, see, tell
from mdn.tasks.told import infer as infer_told

Part = tuple[np.ndarray, Told]  # (h, w, C) encoded, and what is to be told of it


@dataclass(frozen=True)
class Settings:
    """What `mdn denoise` was asked for.

    Attributes:
        jobs: what to read and write.
        model: a model's name, or the path of a model folder; None for the default of what a file
            holds: pictures as shown, or counts.
        device, precision: auto, or as `engine.choose_device` and `choose_precision` name them.
        max_memory: bytes the process may hold, or None.
        tile: side of a tile in pixels, or None to choose.
        strength: 0 (the input, bit for bit) to 1 (all that the model does).
        detail: 0 to 1: the share of the fine grain that is given back.
        sigma: standard deviation of the noise on the 0-255 scale, for models that are told; None to
            estimate it.
        seed: of the masks that a masked model draws; others ignore it.
        passes: how many masked passes to average; models without masks make one.
        quality: 1 to 100, for JPEG and WebP.
        encoding: display, counts, or auto: counts for what a microscope measured.
        choice: which planes of a stack, and how its axes are called.
        renders: what was asked of EXR files.
        fail_fast: stop at the first file that fails.
        dry_run: do no work.
    """

    jobs: Sequence[Job]
    model: str | None = None
    device: str = "auto"
    precision: str = "auto"
    max_memory: int | None = None
    tile: int | None = None
    strength: float = 1.0
    detail: float = 0.0
    sigma: float | None = None
    seed: int = 0
    passes: int = 1
    quality: int = 95
    encoding: str = "auto"
    choice: Choice = field(default_factory=Choice)
    renders: Wishes = field(default_factory=Wishes)
    fail_fast: bool = False
    dry_run: bool = False


class Denoiser:
    """One model on one device, loaded when the first image needs it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.card: Card = store.find(settings.model or store.DEFAULT)
        device = choose_device(settings.device)
        dtype = choose_precision(settings.precision, device, self.card.precisions)
        self.runtime = Runtime(device, dtype, settings.max_memory, settings.tile)
        context = self.card.context + (REACH if settings.detail else 0)
        self.needs = Needs(context, self.card.multiple, self.card.bytes_per_pixel)

    @cached_property
    def net(self) -> torch.nn.Module:
        """The net, verified and on the device."""
        return load_net(self.card, self.runtime.device)

    @cached_property
    def for_counts(self) -> Denoiser:
        """The one for measurements: another, where the user named none and there is a better."""
        name = store.default_for("counts")
        if self.settings.model is not None or name == self.card.name:
            return self
        return Denoiser(replace(self.settings, model=name))

    @property
    def is_told(self) -> bool:
        """Whether the net needs to know how strong the noise is."""
        return bool(getattr(self.net.config, "levelled", False))

    def check_sigma(self) -> None:
        """Raises UsageError where a level of noise was given that the net has no use for."""
        if self.settings.sigma is not None and not self.is_told:
            raise UsageError(
                f"--sigma: {self.card.name} finds the level of the noise by itself;"
                " leave --sigma out, or choose a model that is told (mdn models list)"
            )

    def study(self, parts: Callable[[], Sequence[Part]]) -> None:
        """Look at parts of what comes next; for those that fit their net to it."""

    def page(self, page: np.ndarray, progress: Callable[[float], None]) -> np.ndarray:
        """One page (H, W, C) as stored -> the same, denoised."""
        _ = self.net  # loaded before the engine asks how much memory is taken
        coding = Display(page.dtype)
        see_noise = lambda: tell(look(page, coding.encode), self.settings.sigma)  # noqa: E731
        infer = self.showing(see_noise, apart=False)
        return run_engine(
            infer, self.needs, self.runtime, page, coding.encode, coding.decode, progress
        )

    def spacing(self, measured: Measured) -> int:
        """How far apart samples must be to be shown to the net together; see `counts.spaced`."""
        return measured.spacing

    def light(
        self,
        linear: np.ndarray,
        coding: Coding,
        progress: Callable[[float], None],
        memory: dict[tuple[int, ...], Told] | None = None,
    ) -> np.ndarray:
        """Linear light (H, W, C), float32 and finite, behind a coding -> the same; never mixed.

        memory: of a shot, so that a net that is told of the noise hears the same of every frame.
        """
        _ = self.net
        memory = {} if memory is None else memory

        def see_noise() -> Told:
            if linear.shape not in memory:
                memory[linear.shape] = tell(look(linear, coding.encode), self.settings.sigma)
            return memory[linear.shape]

        infer = in_channels(self.answer(see_noise, 1.0), self.card.channels)
        return run_engine(
            infer, self.needs, self.runtime, linear, coding.encode, coding.decode, progress
        )

    @cached_property
    def renders(self) -> Renders:
        """For the EXR files among the jobs; it remembers the frames of a shot."""
        settings = self.settings
        memory: dict[tuple[int, ...], Told] | None = {} if settings.renders.shot else None
        return Renders(
            net=functools.partial(self.light, memory=memory),
            model=self.card.name,
            wishes=settings.renders,
            strength=settings.strength,
            quality=settings.quality,
            shot=Shot(settings.jobs),
        )

    def counting(self, measured: Sequence[Measured]) -> Infer:
        """The net's answer to counts, one channel for each of `measured`; never mixed."""
        parts = [
            spaced(
                in_channels(
                    self.answer(functools.partial(self._told, each), 1.0), self.card.channels
                ),
                self.spacing(each),
            )
            for each in measured
        ]

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            found = [part(batch[:, i : i + 1], origins) for i, part in enumerate(parts)]
            return torch.cat(found, 1)

        return mending(infer, measured)

    def _told(self, measured: Measured) -> Told:
        sigma = self.settings.sigma
        return measured.told if sigma is None else Told(sigma / 255)

    def showing(self, see_noise: Callable[[], Told], *, apart: bool) -> Infer:
        """The net's answer to pictures as shown, mixed with them as far as the strength says."""
        answer = self.answer(see_noise, self.settings.strength)
        return in_channels(answer, self.card.channels, apart=apart)

    def remarks(self, page: np.ndarray) -> list[str]:
        """What the user should know of the noise of a page, for models that are not told of it."""
        if self.is_told or not self.card.noise_seen:
            return []
        return remarks(self.card, see(look(page, Display(page.dtype).encode)))

    def answer(self, see_noise: Callable[[], Told], strength: float) -> Infer:
        """The net's answer, mixed with its input as far as `strength` says.

        see_noise: asked once where the net needs to be told of the noise.
        """
        answer: Infer
        if self.net.seeded:
            answer = self._masked
        elif self.is_told:
            told = see_noise()
            answer = lambda batch, origins: infer_told(self.net, told, batch)  # noqa: E731
        else:
            answer = lambda batch, origins: self.net(batch).float()  # noqa: E731

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            output = answer(batch, origins)
            if self.settings.detail:
                output = output + self.settings.detail * grain(batch, output)
            return torch.lerp(batch, output, strength)

        return infer

    def _masked(self, batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        """The mean over passes with different masks, which are a function of the absolute pixel."""
        where = torch.tensor(origins, device=batch.device)
        total = torch.zeros_like(batch)
        for index in range(self.settings.passes):
            total += self.net(batch, seed=self.settings.seed, pass_index=index, origin=where)
        return total / self.settings.passes


def in_channels(infer: Infer, wanted: int, *, apart: bool = False) -> Infer:
    """`infer` for any number of channels, from a net that takes `wanted` of them.

    Gray goes to a colour net as equal channels, and the mean of its answers comes back. Colour goes
    to a gray net channel by channel, and so do measurements (`apart`) to any net.
    """

    def adapted(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        count, channels = batch.shape[:2]
        if channels == wanted and not (apart and channels > 1):
            return infer(batch, origins)
        single = batch.reshape(count * channels, 1, *batch.shape[2:])
        each = [origin for origin in origins for _ in range(channels)]
        output = infer(single.expand(-1, wanted, -1, -1), each)
        return output.mean(1, keepdim=True).reshape(batch.shape)

    return adapted


def run(settings: Settings, report: Report) -> BatchResult:
    """Denoise each job's image.

    Raises:
        ModelError: no such model, or its weights are damaged; nothing was written.
        UsageError: a strength or detail outside 0..1, a device that is not there, or a level of
            noise for a model that is not told any.
        OutOfMemoryError: the smallest tile does not fit.
    """
    check(settings)
    settings.renders.check()
    denoiser = Denoiser(settings)
    denoiser.check_sigma()
    return run_batch(
        settings.jobs,
        functools.partial(work_on, denoiser),
        report,
        fail_fast=settings.fail_fast,
        dry_run=settings.dry_run,
    )


def check(settings: Settings) -> None:
    """Raises UsageError where a share is none."""
    for option in ("strength", "detail"):
        share = getattr(settings, option)
        if not 0 <= share <= 1:
            raise UsageError(f"--{option} {share:g}: choose a number from 0 to 1")


def work_on(denoiser: Denoiser, job: Job, report: Report) -> dict[str, object]:
    """Read, denoise and write one image; facts about it."""
    if is_render(job):
        return denoiser.renders.denoise(job, report)
    settings = denoiser.settings
    about: dict[str, object] = {"model": denoiser.card.name, "strength": settings.strength}
    if stacks.may_take(job) and (details := stacks.denoise(denoiser, job, report)):
        return about | details
    if settings.choice.given:
        raise FileError(job.name, f"{settings.choice.given} is for stacks, from TIFF to TIFF")
    image = load(job)
    pages = image.pixels
    if settings.strength > 0 and settings.encoding == "counts":
        tell_page = functools.partial(_tell_page, job, report, len(pages))
        pages = stacks.denoise_counts(denoiser.for_counts, pages, tell_page)
        about["model"] = denoiser.for_counts.card.name
    elif settings.strength > 0:
        for line in denoiser.remarks(pages[0]):
            report.note(job, line)
        result = np.empty_like(pages)
        for index, page in enumerate(pages):
            share = functools.partial(_tell_page, job, report, len(pages), index)
            result[index] = denoiser.page(page, share)
        pages = result
    save(job, replace(image, pixels=pages), report, quality=settings.quality)
    return describe(image) | about


def _tell_page(job: Job, report: Report, pages: int, index: int, share: float) -> None:
    """Turns the share done of one page into the share done of its file."""
    report.progress(job, (index + share) / pages)
