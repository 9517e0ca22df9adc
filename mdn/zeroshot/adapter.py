"""A denoiser whose net is fitted to what it is about to denoise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mdn import nets
from mdn.batch.running import Job, Report
from mdn.batch.uncertainty import Rows
from mdn.commands.denoiser import Denoiser, Part
from mdn.encoding import Display
from mdn.engine import Infer, Needs
from mdn.engine.run import Encode
from mdn.errors import UsageError
from mdn.nets.masking import MaskKey, channel_keep
from mdn.noise.estimate import NoiseEstimate, is_clipped
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import FAINT, Told, look
from mdn.pipeline.multiscale import as_it_is
from mdn.pipeline.self_ensemble import in_channels
from mdn.registry import quality
from mdn.stacks.calibration import Measured
from mdn.zeroshot import state
from mdn.zeroshot.fit import Fit, Window, fit
from mdn.zeroshot.plan import Plan, Start, make_plan

if TYPE_CHECKING:
    from mdn.zeroshot import Settings

ENDED = {
    "done": "all of them",
    "settled": "ended early: the error no longer fell",
    "time": "ended by the time limit",
    "interrupted": "interrupted",
}
# A fit that learns so much (share of the squared error) says that the noise was strange to the net,
# which then takes some of what it sees for picture: what it guesses blindly must weigh as well.
STRANGE, STRANGE_SEEING = 0.08, 0.5
PASSES = 8  # masks of the last ensemble, beside a look at the whole
BLIND_PASSES = 32  # where there is none: each sample must be hidden, and several times
TASTE, TASTED = 512, 4  # pixels a side, and parts, that tell what the unfitted net takes out
SIDE, GRID = 256, 4  # a large picture is fitted to GRID x GRID windows of it
FITTING = 0.85  # share of a picture's progress bar
AGAIN = 4  # a further page starts from the last one's net, with so many times fewer steps


class ZeroShot(Denoiser):
    """As Denoiser, for one job after the other: `begin` each."""

    learns = True

    def __init__(self, settings: Settings, report: Report) -> None:
        super().__init__(settings)
        self.wishes, self.asked, self.report = settings.wishes, settings, report
        self.fitted: nn.Module | None = None
        self.fits: list[Fit] = []
        self.why = ""
        self.plan = Plan()
        self.taken: float | None = None  # by the net before any fit; see make_plan
        self.seen: NoiseEstimate | None = None  # of the page at hand
        self.job: Job | None = None
        self.interrupted = False
        self.other: ZeroShot | None = None  # the one for measurements, where there is a better

    @cached_property
    def start(self) -> nn.Module:
        """The net as it is before any fit."""
        loaded = super().net
        if loaded.seeded:
            raise UsageError(f"--model {self.card.name}: draws its own masks and cannot be fitted")
        if not self.wishes.from_scratch:
            return loaded
        torch.manual_seed(self.settings.seed)
        fresh = nets.build(self.card.arch, asdict(loaded.config))  # type: ignore[call-overload]
        return fresh.eval().to(self.runtime.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    @property
    def ability(self) -> Start:
        """What the net that the fit starts from can do."""
        if self.wishes.from_scratch or self.card.arch in nets.FILLERS:
            return Start.FILLS
        return Start.IS_TOLD if self.is_told else Start.DENOISES

    @cached_property
    def for_counts(self) -> ZeroShot:  # type: ignore[override]
        """See Denoiser."""
        chosen = quality.choose(self.asked.grade, "counts")
        if self.settings.model is not None or chosen.model == self.card.name:
            return self
        passes = self.asked.passes or chosen.passes
        named = replace(self.asked, model=chosen.model, passes=passes)
        self.other = ZeroShot(named, self.report)
        self.other.job, self.other._note = self.job, chosen.note
        return self.other

    @property
    def net(self) -> nn.Module:  # type: ignore[override]
        """The net fitted to the picture at hand, or the start."""
        return self.fitted if self.fitted is not None else self.start

    def spacing(self, measured: Measured) -> int:
        """A net that was fitted sees pixels as its plan says; see `_apart`."""
        return 1 if self.fits else super().spacing(measured)

    def remarks(self, page: np.ndarray) -> list[str]:
        """None: noise that the model never saw is what this is for; `describe` tells of it."""
        return []

    def begin(self, job: Job) -> None:
        """A new picture: nothing of the last one stays."""
        self.job, self.fitted, self.fits, self.why = job, None, [], ""
        self.plan, self.taken, self.seen = Plan(), None, None
        if self.other is not None:
            self.other.begin(job)

    def study(self, parts: Callable[[], Sequence[Part]]) -> None:
        """Fit the net to parts of what comes next, or go on from the last fit of this job."""
        if self.interrupted:
            return
        found = parts()
        seen = next((told.seen for _, told in found if told.seen is not None), None)
        self.seen = seen
        plan = make_plan(self.wishes, seen, self.taken, self.ability)
        self.plan, self.why = plan, plan.why
        iters = plan.iters if self.fitted is None else plan.iters // AGAIN
        if iters == 0:
            return
        net = self.fitted if self.fitted is not None else copy.deepcopy(self.start)
        for parameter in net.parameters():
            parameter.requires_grad_(True)
        windows = [
            small
            for values, told in found
            for window in self._windows(values, told)
            for small in _shuffled(window, plan.shuffle)
        ]

        def progress(step: int, score: float, before: float) -> None:
            if self.job is not None:
                self.report.progress(
                    self.job,
                    FITTING * step / iters,
                    f"step {step}/{iters}, error on hidden samples {score**0.5:.4f}"
                    f" (before {before**0.5:.4f})",
                )

        kept = state.load(self.asked.checkpoint, self.card) if self.asked.resume else None
        result = fit(
            net,
            windows,
            replace(plan, iters=iters),
            self.settings.seed,
            self.runtime.dtype,
            progress,
            self.asked.time_limit,
            kept,
            lambda values: state.save(self.asked.checkpoint, self.card, values),
            self.ability is Start.FILLS,
        )
        if self._in_vain(result, seen):
            result = replace(result, after=result.before)
        else:
            self.fitted = net
        self.fits.append(result)
        self.interrupted = result.ended == "interrupted"

    def page(
        self, page: np.ndarray, progress: Callable[[float], None], spread: Rows | None = None
    ) -> np.ndarray:
        """See Denoiser; fits first, where a fit is expected to gain."""
        encode: Encode = Display(page.dtype).encode
        banding = destripe.find(page, encode) if self.is_told else None
        sample = look(page, encode, banding)
        told = replace(self.told(sample), banding=banding)
        if self.ability is Start.IS_TOLD:
            unfitted = copy.copy(self)
            unfitted.fitted, unfitted.plan = None, Plan()
            told = unfitted.reconsidered(told, sample, page, Display(page.dtype))
        # What is the same in a whole row cannot be learnt from a crop: it is taken out before.
        whole = page if banding is None else destripe.without(page, encode, banding)
        regions = regions_of(whole)
        encode = encode if banding is None else as_it_is
        shared = told.seen is not None and told.seen.correlated
        if shared and self.ability is Start.DENOISES:
            self.taken = self._takes([encode(region) for region in regions[:TASTED]])
        self.study(lambda: [(encode(region), told) for region in regions])
        return super().page(page, progress, spread)

    def _takes(self, regions: Sequence[np.ndarray]) -> float:
        """Root mean square of what the unfitted net takes out of (h, w, C), 0-255 scale."""
        total = count = 0.0
        multiple = self.card.multiple
        for region in regions:
            height, width = (min(side, TASTE) // multiple * multiple for side in region.shape[:2])
            if not height or not width:
                continue
            top, left = (region.shape[0] - height) // 2, (region.shape[1] - width) // 2
            part = region[top : top + height, left : left + width].transpose(2, 0, 1)
            batch = torch.from_numpy(np.ascontiguousarray(part))[None].to(self.runtime.device)
            infer = in_channels(lambda x, _: self.start(x).float(), self.card.channels)
            with torch.inference_mode():
                change = infer(batch, [(0, 0)]) - batch
            total, count = total + float(change.square().sum()), count + change.numel()
        return 255 * (total / max(count, 1)) ** 0.5

    def _windows(self, region: np.ndarray, told: Told) -> list[Window]:
        """A part (h, w, C) of a picture as the net will see it; each channel where it sees gray."""
        values = torch.from_numpy(np.ascontiguousarray(region.transpose(2, 0, 1)))
        curve = told.seen.curve if told.seen else (told.level**2, 0.0, 0.0)
        clipped = told.seen is not None and is_clipped(values)
        if self.is_told and told.stabiliser:
            values, curve = told.stabiliser.forward(values), (told.level**2, 0.0, 0.0)
        gray = len(values) != self.card.channels
        return [
            Window(
                plane.expand(self.card.channels, -1, -1).contiguous(),
                curve,
                max(told.level, FAINT),
                gray,
                clipped,
            )
            for plane in (values.split(1) if gray else [values])
        ]

    def answer(self, see_noise: Callable[[], Told], strength: float, number: int = 0) -> Infer:
        """See Denoiser: what the net makes of what it sees, and of what is hidden from it."""
        if self.ability is Start.FILLS and not self.fits:
            return lambda batch, origins: batch  # clean already: there is nothing to fill
        seeing = super().answer(see_noise, 1.0, number)
        weight = self._seeing()
        shuffle = self.plan.shuffle
        told = see_noise() if self.is_told else None

        def mixed(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            if self.ability is Start.FILLS:
                guess = self._filled(batch, batch, origins, told)
                return torch.lerp(batch, guess, self._share_of_guess(guess))
            seen = seeing(batch, origins)
            if weight == 1:
                return seen
            return torch.lerp(self._filled(batch, seen, origins, told), seen, weight)

        parts = _apart(mixed, shuffle)

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            output = mixed(batch, origins) if shuffle == 1 else parts(batch, origins)
            if shuffle > 1 and self.ability is not Start.FILLS:
                # The small pictures have seams between them, which a look at the whole takes away.
                output = seeing(output, origins)
            return torch.lerp(batch, output, strength)

        return infer

    def _in_vain(self, result: Fit, seen: NoiseEstimate | None) -> bool:
        """Whether a net that denoises already is better left as it came.

        Where hidden samples are guessed worse than the noise spoils them, it is texture that a fit
        learns: the guesses get better, and what is made of samples that are seen worse.
        """
        if seen is None or self.ability is Start.FILLS:
            return False
        return result.after**2 > 1.5 * (seen.level / 255) ** 2

    def _seeing(self) -> float:
        """How far to trust what the net makes of what it sees, noise that neighbours share too."""
        if not self.fits:
            return 1.0
        learnt = 1 - (self.fits[-1].after / max(self.fits[0].before, 1e-12)) ** 2
        return min(self.plan.seeing, STRANGE_SEEING) if learnt > STRANGE else self.plan.seeing

    def _share_of_guess(self, guess: Tensor) -> Tensor:
        """Weight of a blind guess against the sample that was hidden from it, at each sample.

        The errors of the two are independent, so each counts by the other's variance: the noise's
        at that brightness, and what the error on held-out samples has above it.
        """
        if self.seen is None or self.seen.correlated:
            return torch.ones_like(guess)
        constant, slope, square = self.seen.curve
        noise = (constant + slope * guess + square * guess**2).clamp(min=FAINT**2)
        excess = max(self.fits[-1].mean ** 2 - (self.seen.level / 255) ** 2, FAINT**2 / 4)
        return noise / (noise + excess)

    def _filled(
        self, batch: Tensor, seen: Tensor, origins: list[tuple[int, int]], told: Told | None
    ) -> Tensor:
        """The mean guess at each sample over the masks that hide it; `seen` where none does."""
        config = self.net.config
        by_sample = bool(
            getattr(config, "sampled", False) or getattr(config, "mask_per_channel", False)
        ) and not bool((batch[:, :1] == batch).all())
        values = told.stabiliser.forward(batch) if told and told.stabiliser else batch
        extra = {}
        if told:
            extra["level"] = torch.tensor(max(told.level, FAINT), device=batch.device)
        total, count = torch.zeros_like(batch), torch.zeros_like(batch)
        where = torch.tensor(origins, device=batch.device)
        ratio = (self.plan.ratio, self.plan.ratio)
        shape = (len(batch), batch.shape[1], batch.shape[2], batch.shape[3])
        for index in range(BLIND_PASSES if self.ability is Start.FILLS else PASSES):
            key = MaskKey(self.settings.seed, index, where)
            keep = channel_keep(key, shape, ratio, by_sample, batch.device)
            guess = self.net(values, keep=keep, **extra).float()
            if told and told.stabiliser:
                guess = told.stabiliser.inverse(guess)
            total += guess * (1 - keep)
            count += (1 - keep).expand_as(count)
        return torch.where(count > 0, total / count.clamp(min=1), seen)

    @property
    def needs(self) -> Needs:
        """Of a net that sees every shuffle-th pixel: as many times as far, and then the whole."""
        s, base = self.plan.shuffle, self._needs
        reach = base.context * (s if s == 1 else s + 1)
        return Needs(reach, base.multiple * s, base.bytes_per_pixel)

    @needs.setter
    def needs(self, value: Needs) -> None:
        self._needs = value

    def describe(self) -> dict[str, object]:
        """For --json, and in "told" for people: what was chosen, and how the fit went."""
        shot = self if self.other is None else self.other
        if not shot.fits:
            return {"told": [shot.why or "nothing to fit"], "steps": 0}
        first, last = shot.fits[0], shot.fits[-1]
        steps, seconds = (sum(getattr(f, name) for f in shot.fits) for name in ("steps", "seconds"))
        error = f"error on held-out samples {first.before:.4f} -> {last.after:.4f}"
        kept = "" if last.after < first.before else "; no gain, the model as it came was used"
        return {
            "told": [
                shot.why,
                f"{steps} steps in {seconds:.0f} s, {ENDED[last.ended]}; {error}{kept}",
            ],
            "steps": steps,
            "fit_seconds": round(seconds, 3),
            "ended": last.ended,
            "error_before": round(first.before, 6),
            "error_after": round(last.after, 6),
        }

    def leave_if_interrupted(self) -> None:
        """Raises KeyboardInterrupt after the picture whose fit was interrupted has been written."""
        if self.interrupted or (self.other is not None and self.other.interrupted):
            raise KeyboardInterrupt


def regions_of(page: np.ndarray) -> list[np.ndarray]:
    """The page (H, W, C), or windows spread over it where it is large; views."""
    height, width = page.shape[:2]
    if height * width <= (SIDE * GRID) ** 2:
        return [page]
    tops, lefts = (
        [i * (length - SIDE) // (GRID - 1) if length > SIDE else 0 for i in range(GRID)]
        for length in (height, width)
    )
    return [
        page[y : y + SIDE, x : x + SIDE] for y in dict.fromkeys(tops) for x in dict.fromkeys(lefts)
    ]


def _shuffled(window: Window, s: int) -> list[Window]:
    """The window, or the s * s smaller ones that it is taken apart into, colours kept together."""
    height, width = (length // s * s for length in window.values.shape[1:])
    if s == 1 or min(height, width) < s:
        return [window]
    parts = F.pixel_unshuffle(window.values[:, None, :height, :width], s)
    return [replace(window, values=part) for part in parts.transpose(0, 1)]


def _apart(infer: Infer, s: int) -> Infer:
    """`infer` on each of the s * s pictures that every s-th pixel makes, and put together again."""

    def apart(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        count, channels, height, width = batch.shape
        parts = F.pixel_unshuffle(batch.reshape(-1, 1, height, width), s)
        parts = parts.reshape(count, channels, s * s, height // s, width // s).transpose(1, 2)
        each = [(top // s, left // s) for top, left in origins for _ in range(s * s)]
        done = infer(parts.flatten(0, 1).contiguous(), each)
        done = done.reshape(count, s * s, channels, height // s, width // s).transpose(1, 2)
        return F.pixel_shuffle(done.reshape(-1, s * s, height // s, width // s), s).reshape(
            batch.shape
        )

    return apart
