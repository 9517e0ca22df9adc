"""The layers of a net, fitted to one file on request."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from mdn.engine.device import choose_precision
from mdn.errors import UsageError
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.pipeline.plan import NoisyPart
from mdn.registry.model import Model
from mdn.zeroshot.answer import ChangedAnswer, FilledAnswer
from mdn.zeroshot.numbers import load_steps, save_parts
from mdn.zeroshot.request import FitRequest, Plan
from mdn.zeroshot.steps import LayerFit, fit_layers
from mdn.zeroshot.windows import Window, shuffled, windows_of

FITTING = 0.85  # share of a picture's progress bar
AGAIN = 4  # a further page starts from the last one's net, with so many times fewer steps


class Layers:
    """The fits of one file's pages, each from the net of the last.

    Attributes:
        net: once its layers are fitted, or come from a file.
        fine: whether all that it changes is taken, see `ChangedAnswer`.
        fits: how each went.
        estimate: of the noise of the last page; None where it is not measured.
        refused: whether they were not fitted, though that was requested: see `fit`.
        interrupted: whether Ctrl-C ended it; the best so far is used then.
    """

    def __init__(
        self,
        request: FitRequest,
        job: Job,
        report: Report,
        rival: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.net: nn.Module | None = None
        self.fine = self.refused = False
        self.fits: list[LayerFit] = []
        self.estimate: NoiseEstimate | None = None
        self.interrupted = False
        self._request, self._job, self._report, self._plan = request, job, report, Plan()
        self._rival = rival  # see `fit_layers`

    def fit(
        self, parts: Callable[[], Sequence[NoisyPart]], model: Model, *, shared: bool = False
    ) -> Model:
        """The model as fitted to the parts of a page; as it came where no fit was requested.

        shared: neighbours share the noise, so that a hidden sample's is guessed from theirs, and
            neither loss nor score tells what helps.

        Raises UsageError: the net draws its own masks.
        """
        if not model.abilities.takes_masks:
            raise UsageError(f"--model {model.name}: draws its own masks and cannot be fitted")
        fills = model.abilities.purpose == "fill"
        if self.interrupted:
            return self._fitted(model, fills=fills)
        regions = parts()
        self.estimate = next((n.estimate for _, n in regions if n.estimate is not None), None)
        self._plan = self._request.plan(self.estimate, fills=fills)
        iters = self._plan.iters if self.net is None else self._plan.iters // AGAIN
        if self._request.use is not None and self.fits == [] and self.net is not None:
            iters = 0
        self.refused = iters > 0 and shared and not fills
        if iters and not self.refused:
            net = self.net if self.net is not None else copy.deepcopy(model.net)
            windows = [
                small
                for values, noise in regions
                for window in windows_of(values, noise, model)
                for small in shuffled(window, self._plan.shuffle)
            ]
            self._run(net, windows, replace(self._plan, iters=iters), model, fills=fills)
        return self._fitted(model, fills=fills)

    def _run(
        self, net: nn.Module, windows: list[Window], plan: Plan, model: Model, *, fills: bool
    ) -> None:
        """Fits the net in place, and uses it where that gained anything."""
        for parameter in net.parameters():
            parameter.requires_grad_(True)
        request = self._request

        def progress(step: int, score: float, before: float) -> None:
            self._report.progress(
                self._job,
                FITTING * step / plan.iters,
                f"step {step}/{plan.iters}, error on hidden samples {score**0.5:.4f}"
                f" (before {before**0.5:.4f})",
            )

        result = fit_layers(
            net,
            windows,
            plan,
            request.options.seed,
            choose_precision(request.options.precision, model.device, model.card.precisions),
            progress,
            request.time_limit,
            load_steps(request.checkpoint, model.card) if request.resume else None,
            lambda values: save_parts(request.checkpoint, model.card, {"steps": values}),
            fills,
            None if fills else model.net,
            self._rival if self._plan.shuffle == 1 else None,
        )
        if result.sure:
            self.net, self.fine = net, result.fine
        self.fits.append(result)
        self.interrupted = result.ended == "interrupted"

    def _fitted(self, model: Model, *, fills: bool) -> Model:
        """The model with the net as it is now, and what that makes of tiles."""
        net = self.net if self.net is not None else model.net
        halo = model.halo + model.multiple
        if not fills:
            if self.net is None:
                return model  # as it came, whatever was tried
            return replace(model, net=net, answer=ChangedAnswer(model.net, self.fine), halo=halo)
        s, error = self._plan.shuffle, self.fits[-1].mean if self.fits else None
        answer = FilledAnswer(self._plan.ratio, s, error, self.estimate)
        # It sees every s-th pixel, so as many times as far.
        multiple = model.multiple * s
        return replace(model, net=net, answer=answer, halo=halo * s, multiple=multiple)
