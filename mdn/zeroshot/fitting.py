"""Fitting to one picture: the description of its noise first, then, if asked for, layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mdn.encoding import Display, Rec2100
from mdn.engine.run import Encode
from mdn.jobs.job import Job, Report
from mdn.noise.analysis.banding import Banding
from mdn.pipeline import destripe
from mdn.pipeline.adapter import Part
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.conditioning import NoiseConditioning
from mdn.pipeline.in_memory import Picture, restore_counts, restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.multiscale import as_it_is
from mdn.pipeline.sample import sample_for_estimation
from mdn.registry.cards import Card
from mdn.registry.model import Model
from mdn.zeroshot import as_counts, state
from mdn.zeroshot.answer import flipped
from mdn.zeroshot.crop import is_coarse
from mdn.zeroshot.fit_noise import fit_noise
from mdn.zeroshot.layers import Layers
from mdn.zeroshot.noise_fit import NoiseFit
from mdn.zeroshot.plan import FitRequest
from mdn.zeroshot.summary import NO_NOISE, level_in_words, summarise
from mdn.zeroshot.windows import regions_of


class Fitting:
    """The fit of one file: a pipeline.adapter.Adapter. Further pages go on from the first one's."""

    def __init__(self, asked: FitRequest, job: Job, report: Report) -> None:
        self.asked = asked
        self._layers = Layers(asked, job, report)
        self._weights: dict[str, Any] | None = None  # of the layers of a fit that was given
        self._noise_fit: NoiseFit | None = None  # for further pages and pictures
        self._shown = NoiseFit()  # of the first page
        self._seen = ""
        self._counts = False  # whether it is measured light
        self._averages = False  # whether the mean over flips is taken, in place of a fit
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
        shared = is_coarse(noise) or noise.places is not None
        parts = lambda: [(encode(region), noise) for region in regions]  # noqa: E731
        model = self._layers.fit(parts, model, shared=shared)
        return model, noise, bands

    def to_parts(self, parts: Callable[[], Sequence[Part]], model: Model) -> Model:
        self._counts = True
        model = self._layers.fit(parts, self._given(model))
        if model.answer is None and model.card.domain == "counts":
            self._averages = True  # a gain that costs no fit, and nearly all there is on counts
            model = replace(model, answer=flipped)
        return model

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it; the best so far is used then."""
        return self._layers.interrupted

    def describe(self) -> dict[str, object]:
        """For --json, and in "summary" for people: what was seen, fitted and gained."""
        layers, given = self._layers, self.asked.use is not None
        seen = self._seen or level_in_words(layers.estimate, counts=self._counts)
        return summarise(
            self._shown, layers.fits, seen,
            given=given, averages=self._averages, refused=layers.refused,
        )  # fmt: skip

    @property
    def _describes(self) -> bool:
        """Whether what the net is told of the noise is fitted, too."""
        return self.asked.fit.preset == "auto" and not self.asked.fit.from_scratch

    def _given(self, model: Model) -> Model:
        """The model, and the fit that the user gave, if any."""
        self._card = model.card
        if self.asked.use is not None and self._layers.net is None:
            self._load((model.card,))
            if self._weights is not None:
                self._layers.net = copy.deepcopy(model.net)
                self._layers.net.load_state_dict(self._weights)
        return model

    def _load(self, cards: Sequence[Card]) -> None:
        """The fit that the user gave, once; it is of a model with one of these cards."""
        if self._noise_fit is None and self.asked.use is not None:
            self._noise_fit, self._weights, self._layers.fine = state.load_fit(
                self.asked.use, cards
            )

    def save(self) -> None:
        """Keep what was fitted, for other pictures, where that was asked for."""
        if self._card is not None:
            net = self._layers.net
            layers = None if net is None else net.state_dict()
            found, fine = self._noise_fit or NoiseFit(), self._layers.fine
            state.save_fit(self.asked.save, self._card, found, layers, fine=fine)


def restore(page: np.ndarray, models: Models, fitting: Fitting) -> np.ndarray:
    """A page (H, W, C) of a picture as it is shown, fitted and denoised."""
    if fitting.reads_as_counts(page, Display(page.dtype), models):
        model, options = models.load("counts"), models.options("counts")
        return restore_counts(Picture(page[None]), model, options, adapter=fitting)[0]
    return restore_page(page, models.load(), models.options(), adapter=fitting).pixels
