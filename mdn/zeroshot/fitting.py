"""Fitting to one picture: the description of its noise first, then, if asked for, layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mdn import nets
from mdn.batch.running import Job, Report
from mdn.encoding import Display, Rec2100
from mdn.engine.device import choose_precision
from mdn.engine.run import Encode
from mdn.errors import UsageError
from mdn.noise.analysis.banding import Banding
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline import destripe, photo
from mdn.pipeline.adapter import Part
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.models import Models
from mdn.pipeline.multiscale import as_it_is
from mdn.pipeline.options import Options
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.cards import Card
from mdn.registry.model import Model
from mdn.stacks.in_memory import denoise_counts
from mdn.zeroshot import as_counts, state
from mdn.zeroshot.answer import Answer
from mdn.zeroshot.fit import Fit, fit
from mdn.zeroshot.hidden_samples import Window
from mdn.zeroshot.noise_fit import NoiseFit, fit_noise
from mdn.zeroshot.plan import CLEAN, FitOptions, Plan, Start, make_plan
from mdn.zeroshot.windows import regions_of, shuffled, windows_of

ENDED = {
    "done": "completed",
    "settled": "stopped early, as the error no longer fell",
    "time": "stopped by the time limit",
    "interrupted": "interrupted",
}
NO_NOISE = "no noise"
KNOWN = "nothing, mdn denoise knows such noise"
CLEAN_ALREADY = "nothing, the picture is clean"
# A fit that learns so much (share of the squared error) says that the noise was strange to the net,
# which then takes some of what it sees for picture: what it guesses blindly must weigh as well.
STRANGE, STRANGE_SEEING = 0.08, 0.5
FITTING = 0.85  # share of a picture's progress bar
AGAIN = 4  # a further page starts from the last one's net, with so many times fewer steps


@dataclass(frozen=True)
class FitRequest:
    """What was asked of the fit of each picture."""

    fit: FitOptions = field(default_factory=FitOptions)  # the options of the fit
    # of the pipeline; its seed and precision hold for the fit as well
    options: Options = field(default_factory=Options)
    # seconds that the fit of layers may take for one picture, or None
    time_limit: float | None = None
    checkpoint: Path | None = None  # file that the fit of layers is kept in while it runs, or None
    resume: bool = False  # whether to go on from it
    # save, use: files: where the finished fit goes, and where one comes from; or None
    save: Path | None = None
    use: Path | None = None


class Fitting:
    """The fit of one file: a pipeline.adapter.Adapter. Further pages go on from the first one's.

    Attributes:
        interrupted: whether Ctrl-C ended it; the best so far is used then.
    """

    def __init__(self, asked: FitRequest, job: Job, report: Report) -> None:
        self.asked, self.job, self.report = asked, job, report
        self.interrupted = False
        self._net: nn.Module | None = None  # once its layers are fitted
        self._layers: dict[str, Any] | None = None  # of a fit that was given
        self._fits: list[Fit] = []
        self._plan = Plan()
        self._estimate: NoiseEstimate | None = None
        self._noise_fit: NoiseFit | None = None  # for further pages and pictures
        self._shown = NoiseFit()  # of the first page
        self._seen = ""
        self._counts = False  # whether it is measured light
        self._card: Card | None = None

    def reads_as_counts(self, page: np.ndarray, coding: Display | Rec2100, models: Models) -> bool:
        if page.shape[-1] != 1 or isinstance(coding, Rec2100) or not self._describes:
            return False
        if self.asked.use is not None:
            self._load((models.card(), models.card("counts")))
        elif (found := as_counts.find(page, coding, models)) is not None:
            self._noise_fit, self._seen = found
        if self._noise_fit is None or not self._noise_fit.counts:
            return False
        self._shown = self._noise_fit
        return True

    def to_page(
        self,
        page: np.ndarray,
        encode: Encode,
        bands: Banding | None,
        noise: NoiseConditioning,
        model: Model,
    ) -> tuple[Model, NoiseConditioning, Banding | None]:
        model = self._given(model)
        if self._describes:
            known, options = self._noise_fit, self.asked.options
            found = fit_noise(page, encode, bands, noise, model, options, known)
            if not self._seen:
                self._shown = found.fit
            self._noise_fit = known or found.fit
            model, noise, bands = found.model, found.noise, found.bands
            words = [bands.in_words()] if bands is not None else []
            words += [noise.reading.in_words()] if noise.reading is not None else []
            self._seen = self._seen or ", ".join(filter(None, words)) or NO_NOISE
        if noise.estimate is None:  # the model does not ask for it, but the plan does
            sample = sample_for_estimation(page, encode, bands)
            noise = replace(noise, estimate=estimate_noise(sample))
        # What is the same in a whole row cannot be learnt from a crop: it is taken out before.
        if bands is not None:
            page, encode = destripe.without(page, encode, bands), as_it_is
        regions = regions_of(page)
        model = self._fit(lambda: [(encode(region), noise) for region in regions], model)
        return model, noise, bands

    def to_parts(self, parts: Callable[[], Sequence[Part]], model: Model) -> Model:
        self._counts = True
        return self._fit(parts, self._given(model))

    @property
    def _describes(self) -> bool:
        """Whether what the net is told of the noise is fitted, too."""
        return self.asked.fit.preset == "auto" and not self.asked.fit.from_scratch

    def _given(self, model: Model) -> Model:
        """The model, and the fit that the user gave, if any."""
        self._card = model.card
        if self.asked.use is not None and self._net is None:
            self._load((model.card,))
            if self._layers is not None:
                self._net = copy.deepcopy(model.net)
                self._net.load_state_dict(self._layers)
        return model

    def _load(self, cards: Sequence[Card]) -> None:
        """The fit that the user gave, once; it is of a model with one of these cards."""
        if self._noise_fit is None and self.asked.use is not None:
            self._noise_fit, self._layers = state.load_fit(self.asked.use, cards)

    def save(self) -> None:
        """Keep what was fitted, for other pictures, where that was asked for."""
        if self._card is not None:
            layers = None if self._net is None else self._net.state_dict()
            state.save_fit(self.asked.save, self._card, self._noise_fit or NoiseFit(), layers)

    def _fit(self, parts: Callable[[], Sequence[Part]], model: Model) -> Model:
        if not model.abilities.takes_masks:
            raise UsageError(f"--model {model.name}: draws its own masks and cannot be fitted")
        fills = self.asked.fit.from_scratch or model.abilities.purpose == "fill"
        start = Start.FILLS if fills else Start.DENOISES
        if self.asked.fit.from_scratch:
            model = from_scratch(model, self.asked.options.seed)
        if self.interrupted:
            return self._fitted(model, start)
        found = parts()
        self._estimate = next((n.estimate for _, n in found if n.estimate is not None), None)
        self._plan = make_plan(self.asked.fit, self._estimate, start)
        iters = self._plan.iters if self._net is None else self._plan.iters // AGAIN
        if self.asked.use is not None and self._fits == [] and self._net is not None:
            iters = 0
        if iters:
            net = self._net if self._net is not None else copy.deepcopy(model.net)
            windows = [
                small
                for values, noise in found
                for window in windows_of(values, noise, model)
                for small in shuffled(window, self._plan.shuffle)
            ]
            self._run(net, windows, replace(self._plan, iters=iters), model, start)
        return self._fitted(model, start)

    def _run(
        self, net: nn.Module, windows: list[Window], plan: Plan, model: Model, start: Start
    ) -> None:
        """Fits the net in place, and keeps it where that gained anything."""
        for parameter in net.parameters():
            parameter.requires_grad_(True)
        asked = self.asked

        def progress(step: int, score: float, before: float) -> None:
            self.report.progress(
                self.job,
                FITTING * step / plan.iters,
                f"step {step}/{plan.iters}, error on hidden samples {score**0.5:.4f}"
                f" (before {before**0.5:.4f})",
            )

        result = fit(
            net,
            windows,
            plan,
            asked.options.seed,
            choose_precision(asked.options.precision, model.device, model.card.precisions),
            progress,
            asked.time_limit,
            state.load(asked.checkpoint, model.card) if asked.resume else None,
            lambda values: state.save(asked.checkpoint, model.card, {"state": values}),
            start is Start.FILLS,
        )
        if result.sure:
            self._net = net
        self._fits.append(result)
        self.interrupted = result.ended == "interrupted"

    def _fitted(self, model: Model, start: Start) -> Model:
        """The model with the net as it is now, and with what the plan says of its answers."""
        fills, s = start is Start.FILLS, self._plan.shuffle
        if self._net is not None:
            model = replace(model, net=self._net, fitted=True)
        elif s == 1 and not fills:
            return model  # as it came, whatever was tried
        error = self._fits[-1].mean if self._fits else None
        answer = Answer(self._plan, fills, self._seeing(), error, self._estimate)
        # It sees every s-th pixel, so as many times as far, and then the whole.
        halo = model.halo * (s if s == 1 else s + 1)
        return replace(model, answer=answer, halo=halo, multiple=model.multiple * s)

    def _seeing(self) -> float:
        """How far to trust what the net makes of what it sees, noise that neighbours share too."""
        if not self._fits:
            return 1.0
        learnt = 1 - (self._fits[-1].after / max(self._fits[0].before, 1e-12)) ** 2
        seeing = self._plan.seeing
        return min(seeing, STRANGE_SEEING) if learnt > STRANGE else seeing

    def describe(self) -> dict[str, object]:
        """For --json, and in "summary" for people: what was seen, fitted and gained."""
        found = self._shown
        words = found.in_words()
        facts: dict[str, object] = {
            "steps": sum(each.steps for each in self._fits),
            "fitted": words,
            "gain": round(found.gain, 2),
            "fit_seconds": round(found.seconds + sum(each.seconds for each in self._fits), 3),
        }
        gained = [f"about {found.gain:+.1f} dB, estimated, in {found.seconds:.1f} s"]
        if found.counts and self.asked.use is not None:
            gained = ["not measured again, the fit was given"]
        if not words:
            took = f", known after {found.seconds:.1f} s" if found.seconds else ""
            gained = [f"same result as mdn denoise{took}"]
        if self._fits:
            first, last = self._fits[0], self._fits[-1]
            helped = last.after < first.before
            back = "" if helped else ", and put back"
            words = [*words, f"layers of the net, {facts['steps']} steps{back}"]
            gained = gained if found.in_words() else []
            gained += [
                f"error on hidden samples {first.before:.4f} -> {last.after:.4f}"
                + ("" if helped else "; not surely less, so not used"),
                f"{ENDED[last.ended]} after {facts['fit_seconds']:.0f} s",
            ]
            facts |= {
                "ended": last.ended,
                "error_before": round(first.before, 6),
                "error_after": round(last.after, 6),
            }
        seen = self._seen or self._level()
        facts["summary"] = [
            f"seen: {seen}",
            f"fitted: {', '.join(words) or (CLEAN_ALREADY if seen == NO_NOISE else KNOWN)}",
            f"gained: {'; '.join(gained)}",
        ]
        return facts

    def _level(self) -> str:
        level = 0.0 if self._estimate is None else self._estimate.sigma
        words = f"sigma {255 * level:.1f}" if level >= CLEAN else NO_NOISE
        return f"counted light, {words} after its own curve" if self._counts else words


def restore(page: np.ndarray, models: Models, fitting: Fitting) -> np.ndarray:
    """A page (H, W, C) of a picture as it is shown, fitted and denoised."""
    if fitting.reads_as_counts(page, Display(page.dtype), models):
        model, options = models.load("counts"), models.options("counts")
        return denoise_counts(page[None], model, options, adapter=fitting)[0]
    return photo.restore(page, models.load(), models.options(), adapter=fitting).pixels


def from_scratch(model: Model, seed: int) -> Model:
    """The model with random weights in place of what it has learnt."""
    torch.manual_seed(seed)
    net = nets.build(model.card.arch, asdict(model.net.config))  # type: ignore[call-overload]
    fresh = net.eval().to(model.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(model, net=fresh)
