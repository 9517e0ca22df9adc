"""The layers of a net, fitted to one file where that was asked for."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import torch
from torch import nn

from mdn import nets
from mdn.engine.device import choose_precision
from mdn.errors import UsageError
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.adapter import Part
from mdn.registry.model import Model
from mdn.zeroshot import state
from mdn.zeroshot.answer import Answer
from mdn.zeroshot.crops import Window
from mdn.zeroshot.fit import Fit, fit
from mdn.zeroshot.plan import FitRequest, Plan, Start, make_plan
from mdn.zeroshot.windows import shuffled, windows_of

FITTING = 0.85  # share of a picture's progress bar
AGAIN = 4  # a further page starts from the last one's net, with so many times fewer steps


class Layers:
    """The fits of one file's pages, each from the net of the last.

    Attributes:
        net: once its layers are fitted, or were given.
        fine: whether all that it changes is taken, see `change`.
        fits: how each went.
        estimate: of the noise of the last page; None where it is not known.
        refused: whether they were not fitted, though that was asked for: see `fit`.
        interrupted: whether Ctrl-C ended it; the best so far is used then.
    """

    def __init__(self, asked: FitRequest, job: Job, report: Report) -> None:
        self.net: nn.Module | None = None
        self.fine = self.refused = False
        self.fits: list[Fit] = []
        self.estimate: NoiseEstimate | None = None
        self.interrupted = False
        self._asked, self._job, self._report, self._plan = asked, job, report, Plan()

    def fit(
        self, parts: Callable[[], Sequence[Part]], model: Model, *, shared: bool = False
    ) -> Model:
        """The model as fitted to the parts of a page; as it came where none of that was asked.

        shared: neighbours share the noise, so that a hidden sample's is guessed from theirs, and
            neither loss nor score tells what helps.
        """
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
        self.refused = iters > 0 and shared and not fills and self._plan.shuffle == 1
        if iters and not self.refused:
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
            None if start is Start.FILLS else model.net,
        )
        if result.sure:
            self.net, self.fine = net, result.fine
        self.fits.append(result)
        self.interrupted = result.ended == "interrupted"

    def _fitted(self, model: Model, start: Start) -> Model:
        """The model with the net as it is now, and with what the plan says of its answers."""
        fills, s = start is Start.FILLS, self._plan.shuffle
        if self.net is None and s == 1 and not fills:
            return model  # as it came, whatever was tried
        error = self.fits[-1].mean if self.fits else None
        answer = Answer(self._plan, None if fills else model.net, self.fine, error, self.estimate)
        # It sees every s-th pixel, so as many times as far, and then the whole.
        halo = (model.halo + model.multiple) * (s if s == 1 else s + 1)
        net, multiple = self.net if self.net is not None else model.net, model.multiple * s
        return replace(model, net=net, answer=answer, halo=halo, multiple=multiple)


def from_scratch(model: Model, seed: int) -> Model:
    """The model with random weights in place of what it has learnt."""
    torch.manual_seed(seed)
    net = nets.build(model.card.arch, asdict(model.net.config))  # type: ignore[call-overload]
    fresh = net.eval().to(model.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return replace(model, net=fresh)
