"""What a benchmark compares: the noisy picture itself, models, and classical baselines."""

import re
from dataclasses import dataclass

import numpy as np
import torch

from mdn.bench import baselines
from mdn.bench.method import Method
from mdn.bench.renders import Render
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import UsageError
from mdn.jobs.job import Job, Unheard
from mdn.pipeline.denoise_tiles import no_progress
from mdn.pipeline.in_memory import restore_page
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.renders import RenderOptions, frame
from mdn.zeroshot.fit import Fit, restore
from mdn.zeroshot.request import PRESETS, FitRequest

FITTED = "zeroshot:"


class Model(Method):
    """A model of the registry; NAME:8 is the mean of 8 of its passes, as mdn denoise makes them.

    Raises:
        ModelError: there is none of that name, or its weights are missing or damaged.
        UsageError: more passes than it has.
    """

    kind, may_fill = "model", False

    def __init__(self, name: str, device: str, precision: str, seed: int) -> None:
        found = re.fullmatch(r"(.+):(\d{1,4})", name)
        passes = max(1, int(found[2])) if found else 1
        self._models = Models(
            found[1] if found else name,
            device=device,
            options=Options(seed=seed, precision=precision),
            passes=passes,
            may_fill=self.may_fill,
        )
        self._models.check()
        card = self._card = self._models.card()
        store.verify(card)  # known now, not an hour later when its turn comes
        self.name, self.title, self.device = name, card.title, choose_device(device)
        dtype = choose_precision(precision, self.device, card.precisions)
        self.precision = str(dtype or torch.float32).removeprefix("torch.")
        self.identity = f"{card.sha256}/{self.device.type}/{self.precision}/{seed}"
        if passes > 1:
            self.identity += f"/{passes} passes"

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Method. Of a render, what `mdn denoise` makes of its file."""
        model, options = self._models.load(), self._models.options()
        if render is None:
            return restore_page(noisy, model, options).pixels
        assert render.file is not None
        asked = RenderOptions()
        planned = frame.plan(render.file, asked)
        constants = frame.measure(planned)
        cleaned, _, _ = frame.denoise(planned, model, options, asked, constants, no_progress)
        return planned.targets[0].pixels(cleaned).astype(np.float32)

    def prepare(self) -> None:
        self._models.load()

    def describe(self) -> dict[str, object]:
        card = self._card
        return super().describe() | {
            "arch": card.arch,
            "parameters": card.parameters,
            "sha256": card.sha256,
            "device": str(self.device),
            "precision": self.precision,
        }


class Fitted(Model):
    """A model of the registry, fitted to each picture before it denoises it: `mdn zeroshot`.

    Its name is zeroshot:MODEL, or zeroshot:MODEL:PRESET. The fit counts as its time.
    """

    linear = False  # a fit is to pictures as shown
    may_fill = True

    def __init__(self, name: str, device: str, precision: str, seed: int) -> None:
        model, _, preset = name.removeprefix(FITTED).partition(":")
        super().__init__(model, device, precision, seed)
        self._request = FitRequest(preset or "auto", options=self._models.options())
        self._request.check(1)
        self.name = name
        # What a fit does is in the code, not in the weights: other versions are other methods.
        self.identity = f"zeroshot/{PRESETS[self._request.preset]}/{self.identity}"

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        fit = Fit(self._request, Job(None, None, name), Unheard())
        result = restore(noisy, self._models, fit)
        if fit.interrupted:
            raise KeyboardInterrupt
        return result


@dataclass(frozen=True)
class Methods:
    """The methods of a benchmark, and, by name, why a baseline that was named cannot run."""

    found: tuple[Method, ...]
    missing: dict[str, str]


def resolve(names: tuple[str, ...], device: str, precision: str, seed: int) -> Methods:
    """The methods of those names, the noisy input first.

    Args:
        names: of models, NAME:PASSES, zeroshot:MODEL, or peer:NAME; peer:all is every baseline.
        device, precision, seed: for the models.

    Raises:
        UsageError: an unknown baseline, or no name at all.
        ModelError: an unknown or damaged model.
    """
    every = [baselines.PREFIX + each for each in baselines.BASELINES]
    wanted = dict.fromkeys(
        each for name in names for each in (every if name == f"{baselines.PREFIX}all" else [name])
    )
    if not all(wanted) or not wanted:
        raise UsageError("--model has an empty name in it; write --model NAME,NAME")
    found: list[Method] = [Method()]
    missing: dict[str, str] = {}
    for name in wanted:
        if not name.startswith(baselines.PREFIX):
            kind = Fitted if name.startswith(FITTED) else Model
            found.append(kind(name, device, precision, seed))
            continue
        baseline = baselines.find(name.removeprefix(baselines.PREFIX))
        if baseline.missing:
            missing[name] = baseline.missing
        else:
            found.append(baseline)
    return Methods(tuple(found), missing)
