"""The fit to one picture: numbers that describe its noise first, then, on request, layers."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from mdn.engine.run import Encode
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.noise.analysis.lines import Banding
from mdn.pipeline import destripe
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.judge import estimate_noise
from mdn.pipeline.plan import NoisyPart
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.cards import Card
from mdn.registry.model import Model
from mdn.zeroshot.answer import averaged_answer
from mdn.zeroshot.layers import Layers
from mdn.zeroshot.numbers import NoiseNumbers, fit_numbers, load_fit, save_fit
from mdn.zeroshot.request import CLEAN, FitRequest
from mdn.zeroshot.steps import PATIENCE
from mdn.zeroshot.windows import is_coarse, regions_of

ENDED = {  # of LayerFit
    "done": "completed",
    "settled": f"stopped at step {{}}, as the error had not surely fallen for {PATIENCE} steps,",
    "hopeless": "stopped at step {}, as nothing can be gained,",
    "time": "stopped by the time limit",
    "interrupted": "interrupted",
}
NO_NOISE = "no noise"
NOTHING = "nothing: no noise was found that mdn denoise does not know"
CLEAN_ALREADY = "nothing, as mdn denoise finds no noise"
REFUSED = "; no layers, as neighbours share the noise, which hidden samples cannot judge"
AVERAGED = "nothing; the mean of eight flips and rotations is taken"
USUALLY = "0 to 0.15 dB over mdn denoise on other such pictures, not measured here"


class PlainIsBetterError(Exception):
    """Held-out samples say that a pass without a fit is better. Never leaves mdn.zeroshot."""


class Fit:
    """The fit of one file: a pipeline.plan.Adapter. Further pages go on from the first one's.

    Args:
        rival: what denoises a picture (C, H, W) in 0..1 without a fit. A preset of MPI is compared
            with it on held-out samples, and `to_page` raises PlainIsBetterError where it loses.
            None: what was asked for is done in any case, as benchmarks want it.
    """

    def __init__(
        self,
        request: FitRequest,
        job: Job,
        report: Report,
        rival: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.request = request
        self._layers = Layers(request, job, report, rival)
        self._numbers: NoiseNumbers | None = None  # for further pages and pictures
        self._shown = NoiseNumbers()  # of the first page
        self._words = ""  # of the first page's noise
        self._counts = False  # whether it is counted light
        self._averages = False  # whether the mean over flips is taken, in place of a fit
        self._card: Card | None = None

    def to_page(
        self,
        page: np.ndarray,
        encode: Encode,
        bands: Banding | None,
        noise: NoiseConditioning,
        model: Model,
    ) -> tuple[Model, NoiseConditioning, Banding | None]:
        """See Adapter."""
        self._use_given(model)
        if self.request.preset == "auto":
            given, options = self._numbers, self.request.options
            numbers, model, noise, bands = fit_numbers(
                page, encode, bands, noise, model, options, given
            )
            self._numbers = given or numbers
            if not self._words:
                self._shown = numbers
                words = [bands.in_words()] if bands is not None else []
                words += [noise.reading.in_words()] if noise.reading is not None else []
                self._words = ", ".join(filter(None, words)) or NO_NOISE
        if noise.estimate is None:  # the model does not ask for it, but the plan does
            sample = sample_for_estimation(page, encode, bands)
            noise = replace(noise, estimate=estimate_noise(sample))
        # What is the same in a whole row cannot be learnt from a crop: it is taken out before.
        if bands is not None:
            page, encode = destripe.without(page, encode, bands), np.asarray
        regions = regions_of(page)
        shared = is_coarse(noise) or noise.places is not None
        parts = lambda: [(encode(region), noise) for region in regions]  # noqa: E731
        fitted = self._layers.fit(parts, model, shared=shared)
        if any(fit.rival is not None and not fit.sure for fit in self._layers.fits):
            raise PlainIsBetterError
        return fitted, noise, bands

    def to_parts(self, parts: Callable[[], Sequence[NoisyPart]], model: Model) -> Model:
        """See Adapter."""
        self._counts = True
        self._use_given(model)
        model = self._layers.fit(parts, model)
        if model.answer is None and model.card.domain == "counts":
            self._averages = True  # a gain that costs no fit, and nearly all there is on counts
            model = replace(model, answer=averaged_answer)
        return model

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it; the best so far is used then."""
        return self._layers.interrupted

    def _use_given(self, model: Model) -> None:
        """Read the fit of --fit, once, if there is one; it must be of this model."""
        self._card = model.card
        if self.request.use is None or self._numbers is not None:
            return
        self._numbers, weights, fine = load_fit(self.request.use, model.card)
        if weights is not None:
            net = copy.deepcopy(model.net)
            net.load_state_dict(weights)
            self._layers.net, self._layers.fine = net, fine

    def save(self) -> None:
        """Write what was fitted, for other pictures, where --save-fit names a file."""
        if self._card is not None:
            net = self._layers.net
            weights = None if net is None else net.state_dict()
            numbers, fine = self._numbers or NoiseNumbers(), self._layers.fine
            save_fit(self.request.save, self._card, numbers, weights, fine=fine)

    def describe(self) -> dict[str, object]:
        """Facts for --json, and in "summary" three lines for people."""
        numbers, fits = self._shown, self._layers.fits
        noise = self._words or level_in_words(self._layers.estimate, counts=self._counts)
        words = numbers.in_words()
        steps = sum(fit.steps for fit in fits)
        seconds = numbers.seconds + sum(fit.seconds for fit in fits)
        facts: dict[str, object] = {
            "steps": steps,
            "fitted": list(words),
            "gain": round(numbers.gain, 2),
            "fit_seconds": round(seconds, 3),
        }
        gains = [f"about {numbers.gain:+.1f} dB, estimated, in {numbers.seconds:.1f} s"]
        if not words:
            after = f", known after {numbers.seconds:.1f} s" if numbers.seconds else ""
            gains = [f"same result as mdn denoise{after}"]
        if fits:
            first, last = fits[0], fits[-1]
            helped = last.after < first.before and last.sure
            gains = gains if words else []
            why = "" if helped else "; not surely less, so not used"
            if last.rival is not None and not last.sure:
                why = f"; mdn denoise has {last.rival:.4f}, so its result is taken"
            error = last.mean if last.rival is not None else last.after
            gains += [
                f"error on hidden samples {first.before:.4f} -> {error:.4f}{why}",
                f"{ENDED[last.ended].format(last.steps)} after {seconds:.0f} s",
            ]
            back = "" if helped else ", and put back"
            words.append(f"layers of the net, {steps} steps{back}")
            facts |= {
                "ended": last.ended,
                "error_before": round(first.before, 6),
                "error_after": round(last.after, 6),
            }
            if last.rival is not None:
                facts |= {"error_of_denoise": round(last.rival, 6), "taken": last.sure}
        if self._averages and not words:
            gains = [USUALLY]
        nothing = AVERAGED if self._averages else CLEAN_ALREADY if noise == NO_NOISE else NOTHING
        refused = REFUSED if self._layers.refused else ""
        facts["summary"] = [
            f"seen: {noise}",
            f"fitted: {', '.join(words) or nothing}{refused}",
            f"gained: {'; '.join(gains)}",
        ]
        return facts


def level_in_words(estimate: NoiseEstimate | None, *, counts: bool) -> str:
    """The noise of a model that reads only its level; counts: whether it is counted light."""
    level = 0.0 if estimate is None else estimate.sigma
    if counts:  # whose unit is the noise
        return "counted light" if level > 0 else f"counted light, {NO_NOISE}"
    return f"sigma {255 * level:.1f}" if level >= CLEAN else NO_NOISE
