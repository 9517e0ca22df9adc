"""One model on one device: what it makes of pages, counts and renders."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mdn import nets
from mdn.batch.uncertainty import Rows, shown_aside
from mdn.commands.settings import Settings
from mdn.encoding import Display
from mdn.engine import Infer, Needs, Runtime, choose_device, choose_precision
from mdn.engine import run as run_engine
from mdn.errors import UsageError
from mdn.pipeline import destripe, doubt, metered
from mdn.pipeline.conditioning import Told, look, see, share_for, tell
from mdn.pipeline.conditioning import infer as infer_told
from mdn.pipeline.model_warnings import remarks
from mdn.pipeline.multiscale import Correction, as_it_is, half_of
from mdn.pipeline.restore_grain import REACH, grained
from mdn.pipeline.self_ensemble import WAYS, ensemble, in_channels, turned
from mdn.registry import quality, store
from mdn.registry.cards import Card
from mdn.registry.load import load as load_net
from mdn.renders import frame
from mdn.renders.exr_job import Renders
from mdn.renders.guides import Guides
from mdn.renders.refine import Coding
from mdn.renders.sequence import Shot
from mdn.stacks.calibration import Measured, mending, spaced

Part = tuple[np.ndarray, Told]  # (h, w, C) encoded, and what is to be told of it


class Denoiser:
    """One model on one device, loaded when the first image needs it."""

    learns = False  # from the picture at hand

    def __init__(self, settings: Settings, domain: str = "display") -> None:
        self.settings = settings
        self.heard: Told | None = None  # of the first page of the file at hand
        chosen = quality.choose(settings.grade, domain)
        if settings.model is not None:
            chosen = quality.Choice(settings.model)
        self.card: Card = store.find(chosen.model)
        if self.card.arch in nets.FILLERS and not self.learns:
            raise UsageError(
                f"--model {self.card.name}: fills masks, and denoises only what it was fitted to;"
                f" mdn zeroshot -m {self.card.name} does that"
            )
        if self.card.arch in nets.METERS:
            raise UsageError(
                f"--model {self.card.name}: says how strong the noise is, and takes none out;"
                " the models for photos ask it"
            )
        self.passes = settings.passes or chosen.passes
        self._note = chosen.note
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
        return self._for("counts")

    @cached_property
    def for_renders(self) -> Denoiser:
        """The one for renders, likewise; the papers' protocol makes pictures as shown of them."""
        return self if self.settings.renders.tonemap == "srgb" else self._for("hdr")

    def _for(self, domain: str) -> Denoiser:
        chosen = quality.choose(self.settings.grade, domain)
        if self.settings.model is not None or chosen.model == self.card.name:
            return self
        return Denoiser(self.settings, domain)

    def news(self) -> list[str]:
        """What to say of the choice of the model, once, when it has been used."""
        lines = [self._note] if self._note and "net" in vars(self) else []
        if lines:
            self._note = ""
        for other in (vars(self).get(key, self) for key in ("for_counts", "for_renders")):
            lines += [] if other is self else other.news()
        return lines

    @property
    def is_told(self) -> bool:
        """Whether the net needs to know how strong the noise is."""
        return bool(getattr(self.net.config, "levelled", False))

    def told(self, sample: torch.Tensor) -> Told:
        """What to tell the net of the picture that (C, H, W) shows; see `tell`."""
        return tell(sample, self.settings.sigma, stabilise=not self.card.knows_brightness)

    def check_sigma(self) -> None:
        """Raises UsageError where a level of noise was given that the net has no use for."""
        if self.settings.sigma is not None and not self.is_told:
            raise UsageError(
                f"--sigma: {self.card.name} finds the level of the noise by itself;"
                " leave --sigma out, or choose a model that is told (mdn models list)"
            )

    def check_passes(self) -> None:
        """What of --passes and --save-std makes no sense. Raises UsageError."""
        settings = self.settings
        if self.spreads and self.passes < 2:
            raise UsageError("--save-std: one pass differs from nothing; add --passes 8, say")
        if self.spreads and settings.strength == 0:
            raise UsageError("--save-std: with --strength 0 there are no passes to differ")
        if self.passes > WAYS and not self.is_masked:
            raise UsageError(
                f"--passes {self.passes}: {self.card.name} draws no masks; its passes are the"
                f" picture turned and mirrored, {WAYS} at most"
            )

    def study(self, parts: Callable[[], Sequence[Part]]) -> None:
        """Look at parts of what comes next; for those that fit their net to it."""

    @property
    def knows_renders(self) -> bool:
        """Whether it was trained on renders, in the curve of linear light."""
        return self.card.domain == "hdr"

    @property
    def spreads(self) -> bool:
        """Whether a map of the deviation between passes is wanted."""
        return any(job.aside is not None for job in self.settings.jobs)

    @property
    def is_masked(self) -> bool:
        """Whether the net draws masks, so that its passes differ by themselves."""
        return bool(getattr(self.net, "masked", self.net.seeded))

    def page(
        self, page: np.ndarray, progress: Callable[[float], None], spread: Rows | None = None
    ) -> np.ndarray:
        """One page (H, W, C) as stored -> the same, denoised; `spread` takes its deviation."""
        _ = self.net  # loaded before the engine asks how much memory is taken
        coding = Display(page.dtype)
        told = Told(0.0)
        if self.is_told:
            banding = destripe.find(page, coding.encode)
            sample = look(page, coding.encode, banding)
            told = replace(self.told(sample), banding=banding)
            told = self.reconsidered(told, sample, page, coding)
        infer = self.showing(lambda: told, apart=False)
        if told.scales:
            change = self._coarser(half_of(page, coding.encode, told.banding), told.scales[1:])
            infer = self._corrected(change, told.scales[0], self.settings.strength, self.spreads)
        if told.banding is not None:
            infer = destripe.unbanded(infer, told.banding, page.shape[:2], self.settings.strength)
        self.heard = self.heard or told
        aside = None if spread is None else shown_aside(spread, coding)
        return run_engine(
            infer, self.needs, self.runtime, page, coding.encode, coding.decode, progress, aside
        )

    def reconsidered(self, told: Told, sample: Tensor, page: np.ndarray, coding: Display) -> Told:
        """The same, or what another look makes of it where the estimate leaves room for doubt.

        The meter is asked for a net that has seen several kinds of noise, as the meter has. One
        that stands for a single kind is not helped so: its own answer is looked at.
        """
        if not doubt.doubtful(told, faint=self.card.knows_several):
            return told
        if not self.card.knows_several:
            return self._believed(told, page, coding)
        found = metered.asked(told, metered.readings(sample))
        if doubt.grainy(told):  # film grain is nothing that the meter knows
            believed = self._believed(told, page, coding)
            found = max(found, believed, key=lambda each: each.share * each.level)
        return found

    def _believed(self, told: Told, page: np.ndarray, coding: Display) -> Told:
        """The same, weakened until the net finds such noise in parts of the page; see `doubt`."""
        plain = copy.copy(self)
        plain.settings, plain.passes = replace(self.settings, jobs=(), detail=0.0, strength=1.0), 1
        parts = [
            destripe.without(page, coding.encode, told.banding, rows, columns)
            for rows, columns in doubt.windows(*page.shape[:2])
        ]

        def changes(told: Told) -> list[np.ndarray]:
            return [plain._change(part, told) for part in parts]

        def taken(each: Told) -> float:
            found = first if each is told else changes(each)
            return float(np.concatenate([c.ravel() for c in found]).std())

        first = changes(told)
        if doubt.uneven(told, parts, first):
            return doubt.nothing(told)
        return doubt.believed(told, taken)

    def _change(self, values: np.ndarray, told: Told) -> np.ndarray:
        """What denoising changes in encoded values (h, w, C)."""
        infer = self.showing(lambda: told, apart=False)
        if told.scales:
            change = self._coarser(half_of(values, as_it_is), told.scales[1:])
            infer = self._corrected(change, told.scales[0], 1.0, False)
        return run_engine(infer, self.needs, self.runtime, values, as_it_is, as_it_is) - values

    def _coarser(self, picture: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
        """What denoising changes in encoded means (h, w, C), with the coarser scales done first."""
        told = Told(levels[0], share=share_for(levels[0]))
        infer = self._passes(lambda: told, 1.0, spread=False)
        if len(levels) > 1:
            change = self._coarser(half_of(picture, as_it_is), levels[1:])
            infer = self._corrected(change, levels[0], 1.0, False)
        clean = run_engine(infer, self.needs, self.runtime, picture, as_it_is, as_it_is)
        return clean - picture

    def _corrected(self, change: np.ndarray, level: float, strength: float, spread: bool) -> Infer:
        """The net's answer to tiles whose coarse part is that of the coarser scale's result."""
        told = Told(level, share=share_for(level))
        fine = self._passes(lambda: told, 1.0, spread=spread)
        corrected = Correction(change)

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            found = fine(corrected(batch, origins), origins)
            channels = batch.shape[1]
            mixed = torch.lerp(batch, found[:, :channels], strength)
            return torch.cat([mixed, strength * found[:, channels:]], 1)

        return infer

    def describe_noise(self) -> dict[str, object]:
        """Facts about the noise of the file at hand, for a net that is told of it."""
        if not self.is_told or self.heard is None:
            return {}
        facts: dict[str, object] = {"noise": self.heard.describe()}
        if self.heard.banding is not None:
            facts["told"] = [self.heard.banding.in_words() + " taken out"]
        return facts

    def spacing(self, measured: Measured) -> int:
        """How far apart samples must be to be shown to the net together; see `counts.spaced`."""
        return measured.spacing

    def light(
        self,
        linear: np.ndarray,
        coding: Coding,
        guides: np.ndarray | None,
        progress: Callable[[float], None],
        memory: dict[tuple[int, ...], Told] | None = None,
    ) -> np.ndarray:
        """Linear light (H, W, C), float32 and finite, behind a coding -> the same; never mixed.

        guides: (H, W, G) for nets that take them; see `frame.surfaces`.
        memory: of a shot, so that a net that is told of the noise hears the same of every frame.
        """
        memory = {} if memory is None else memory

        def see_noise() -> Told:
            if linear.shape not in memory:
                memory[linear.shape] = tell(look(linear, coding.encode), self.settings.sigma)
            return memory[linear.shape]

        taken = getattr(self.net.config, "guides", 0) and guides is not None
        beside = Guides(guides) if taken else None  # type: ignore[arg-type]
        infer = self._passes(see_noise, 1.0, spread=False, guides=beside)
        return run_engine(
            infer, self.needs, self.runtime, linear, coding.encode, coding.decode, progress
        )

    @cached_property
    def renders(self) -> Renders:
        """For the EXR files among the jobs; it remembers the frames of a shot."""
        settings = self.settings
        memory: dict[tuple[int, ...], Told] | None = {} if settings.renders.shot else None
        return Renders(
            net=frame.Net(functools.partial(self.light, memory=memory), self.knows_renders),
            model=self.card.name,
            wishes=settings.renders,
            strength=settings.strength,
            quality=settings.quality,
            shot=Shot(settings.jobs),
        )

    def counting(self, measured: Sequence[Measured]) -> Infer:
        """The net's answer to counts, one channel for each of `measured`; never mixed.

        Where a map of deviations is wanted, those follow, as many channels again.
        """
        parts = [
            self._passes(functools.partial(self._told, each), 1.0, spacing=self.spacing(each))
            for each in measured
        ]

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            found = [part(batch[:, i : i + 1], origins) for i, part in enumerate(parts)]
            # Each part is a mean, and perhaps its deviation: all means come first.
            return torch.cat([x[:, k : k + 1] for k in range(found[0].shape[1]) for x in found], 1)

        return mending(infer, measured)

    def _told(self, measured: Measured) -> Told:
        sigma = self.settings.sigma
        return measured.told if sigma is None else Told(sigma / 255)

    def showing(self, see_noise: Callable[[], Told], *, apart: bool) -> Infer:
        """The net's answer to pictures as shown, mixed with them as far as the strength says."""
        return self._passes(see_noise, self.settings.strength, apart=apart)

    def _passes(
        self,
        see_noise: Callable[[], Told],
        strength: float,
        *,
        apart: bool = False,
        spacing: int = 1,
        spread: bool | None = None,
        guides: Guides | None = None,
    ) -> Infer:
        """The mean of the passes, for any number of channels, and their deviation where wanted."""
        see_once = functools.cache(see_noise)
        looks = []
        for number in range(self.passes):
            if guides is None:
                answer = self.answer(see_once, strength, number)
            else:
                answer = guides.answer(self.net, number, self.settings.detail)
            looks.append(spaced(in_channels(answer, self.card.channels, apart=apart), spacing))
        return ensemble(looks, spread=self.spreads if spread is None else spread)

    def remarks(self, page: np.ndarray) -> list[str]:
        """What the user should know of the noise of a page, for models that are not told of it."""
        if self.is_told or not self.card.noise_seen:
            return []
        return remarks(self.card, see(look(page, Display(page.dtype).encode)))

    def answer(self, see_noise: Callable[[], Told], strength: float, number: int = 0) -> Infer:
        """The net's answer in one of the passes, mixed with its input as far as `strength` says.

        see_noise: asked where the net needs to be told of the noise.
        """
        told = see_noise() if self.is_told else None

        def plain(batch: Tensor) -> Tensor:
            return self.net(batch).float() if told is None else infer_told(self.net, told, batch)

        upright = turned(plain, number)

        def infer(batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
            masked = self.is_masked
            output = self._masked(number, batch, origins) if masked else upright(batch)
            return torch.lerp(batch, grained(batch, output, self.settings.detail), strength)

        return infer

    def _masked(self, number: int, batch: Tensor, origins: list[tuple[int, int]]) -> Tensor:
        """One pass; its masks are a function of the absolute pixel, whatever the tiles."""
        where = torch.tensor(origins, device=batch.device)
        seed = self.settings.seed
        return self.net(batch, seed=seed, pass_index=number, origin=where).float()
