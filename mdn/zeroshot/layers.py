"""The layers of a net, fitted to one file where that was asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import torch
from torch import nn

from mdn import nets
from mdn.batch.running import Job, Report
from mdn.engine.device import choose_precision
from mdn.errors import UsageError
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.adapter import Part
from mdn.registry.model import Model
from mdn.zeroshot import state
from mdn.zeroshot.answer import Answer
from mdn.zeroshot.crops import Window
from mdn.zeroshot.fit import Fit, fit
from mdn.zeroshot.plan import FitRequest, Plan, Start, make_plan
from mdn.zeroshot.windows import shuffled, windows_of

# A fit that learns so much (share of the squared error) says that the noise was strange to the net,
# which then takes some of what it sees for picture: what it guesses blindly must weigh as well.
STRANGE, STRANGE_SEEING = 0.08, 0.5
FITTING = 0.85  # share of a picture's progress bar
AGAIN = 4  # a further page starts from the last one's net, with so many times fewer steps


class Layers:
    """The fits of one file's pages, each from the net of the last.

    Attributes:
        net: once its layers are fitted, or were given.
        fits: how each went.
        estimate: of the noise of the last page; None where it is not known.
        interrupted: whether Ctrl-C ended it; the best so far is used then.
    """

    def __init__(self, asked: FitRequest, job: Job, report: Report) -> None:
        self.net: nn.Module | None = None
        self.fits: list[Fit] = []
        self.estimate: NoiseEstimate | None = None
        self.interrupted = False
        self._asked, self._job, self._report, self._plan = asked, job, report, Plan()

    def fit(self, parts: Callable[[], Sequence[Part]], model: Model) -> Model:
        """The model as fitted to the parts of a page; as it came where none of that was asked."""
        if not model.abilities.takes_masks:
            raise UsageError(f"--model {model.name}: draws its own masks and cannot be fitted")
        fills = self._asked.fit.from_scratch or model.abilities.purpose == "fill"
        start = Start.FILLS if fills else Start.DENOISES
        if self._asked.fit.from_scratch:
            model = from_scratch(model, self._asked.options.seed)
        if self.interrupted:
            return self._fitted(model, start)
        found = parts()
        self.estimate = next((n.estimate for _, n in found if n.estimate is not None), None)
        self._plan = make_plan(self._asked.fit, self.estimate, start)
        iters = self._plan.iters if self.net is None else self._plan.iters // AGAIN
        if self._asked.use is not None and self.fits == [] and self.net is not None:
            iters = 0
        if iters:
            net = self.net if self.net is not None else copy.deepcopy(model.net)
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
        asked = self._asked

        def progress(step: int, score: float, before: float) -> None:
            self._report.progress(
                self._job,
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
            self.net = net
        self.fits.append(result)
        self.interrupted = result.ended == "interrupted"

    def _fitted(self, model: Model, start: Start) -> Model:
        """The model with the net as it is now, and with what the plan says of its answers."""
        fills, s = start is Start.FILLS, self._plan.shuffle
        if self.net is not None:
            model = replace(model, net=self.net, fitted=True)
        elif s == 1 and not fills:
            return model  # as it came, whatever was tried
        error = self.fits[-1].mean if self.fits else None
        answer = Answer(self._plan, fills, self._seeing(), error, self.estimate)
        # It sees every s-th pixel, so as many times as far, and then the whole.
        halo = model.halo * (s if s == 1 else s + 1)
        return replace(model, answer=answer, halo=halo, multiple=model.multiple * s)

    def _seeing(self) -> float:
        """How far to trust what the net makes of what it sees, noise that neighbours share too."""
        if not self.fits:
            return 1.0
        learnt = 1 - (self.fits[-1].after / max(self.fits[0].before, 1e-12)) ** 2
        seeing = self._plan.seeing
        return min(seeing, STRANGE_SEEING) if learnt > STRANGE else seeing


def from_scratch(model: Model, seed: int) -> Model:
    """The model with random weights in place of what it has learnt."""
    torch.manual_seed(seed)
    net = nets.build(model.card.arch, asdict(model.net.config))  # type: ignore[call-overload]
    fresh = net.eval().to(model.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(model, net=fresh)
