"""What a benchmark compares: the noisy picture itself, models, and classical baselines."""

import difflib
import re
from dataclasses import dataclass

import numpy as np
import torch

from mdn import nets
from mdn.bench.baselines import BASELINES, Baseline, quiet
from mdn.bench.renders import Render
from mdn.encoding import Display
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import FileError, UsageError
from mdn.jobs.job import Job, Unheard
from mdn.pipeline.in_memory import Picture, treatment
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.pipeline.plan import Adapter
from mdn.registry import store
from mdn.renders import RenderOptions, frame
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.request import PRESETS, FitRequest

PEER, ZERO_SHOT = "peer:", "zeroshot:"  # how names of baselines and of fits begin


class Method:
    """A way to turn a noisy page into a cleaner one; as it stands, the noisy page itself.

    Attributes:
        name: what rows call it.
        kind: input, model or baseline.
        identity: changes when its results may.
        device: where it computes.
        linear: it takes renders in linear light.
        renders_only: it takes nothing else.
    """

    name, kind, identity, title = "noisy", "input", "noisy", "the input itself"
    device = torch.device("cpu")
    linear, renders_only = True, False

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """(H, W, C) in its dtype -> the same, denoised.

        sigma is the true deviation of the noise, in units of white; only methods that say so use
        it. render: the guides, for those who take linear light. Raises FileError where it cannot
        do the picture called `name`.
        """
        return noisy

    def prepare(self) -> None:
        """Loads what is loaded once, so that it is not timed. Called before every picture."""

    def describe(self) -> dict[str, object]:
        """What a report says of it; JSON-able."""
        return {"name": self.name, "kind": self.kind, "title": self.title}


class ModelMethod(Method):
    """A model of the registry; NAME:8 is the mean of 8 of its passes, as mdn denoise makes them.

    Raises:
        ModelError: there is none of that name, or its weights are missing or damaged.
        UsageError: more passes than it has.
    """

    kind, may_fill = "model", False

    def __init__(self, name: str, device: str, precision: str, seed: int) -> None:
        match = re.fullmatch(r"(.+):(\d{1,4})", name)
        model, passes = (match[1], max(1, int(match[2]))) if match else (name, 1)
        options = Options(seed=seed, precision=precision)
        self._models = Models(
            model, device=device, options=options, passes=passes, may_fill=self.may_fill
        )
        self._models.check()
        card = self._card = self._models.card()
        self.renders_only = nets.ARCHITECTURES[card.arch].purpose == "renders"
        store.verify(card)  # damage shows now, not an hour later when its turn comes
        self.name, self.title, self.device = name, card.title, choose_device(device)
        dtype = choose_precision(precision, self.device, card.precisions)
        self.precision = str(dtype or torch.float32).removeprefix("torch.")
        hashes = "/".join(part.sha256 for part in store.with_companions(card))
        self.identity = f"{hashes}/{self.device.type}/{self.precision}/{seed}"
        if passes > 1:
            self.identity += f"/{passes} passes"

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Method. Of a render, what `mdn denoise` makes of its file."""
        if render is None:
            return self._restored(noisy)
        model, options = self._models.load("hdr"), self._models.options()
        assert render.file is not None
        defaults = RenderOptions()
        plan = frame.plan(render.file, defaults)
        constants = frame.measure(plan)
        clean, _, _ = frame.denoise(plan, model, options, defaults, constants)
        return plan.targets[0].pixels(clean).astype(np.float32)

    def _restored(self, noisy: np.ndarray, adapter: Adapter | None = None) -> np.ndarray:
        """What `mdn denoise` makes of it: gray may be counted light."""
        return treatment(Picture(noisy[None]), self._models).restore(adapter=adapter)[0][0]

    def prepare(self) -> None:
        self._models.load("hdr")  # a model that is named is one for all domains

    def describe(self) -> dict[str, object]:
        card = self._card
        return super().describe() | {
            "arch": card.arch,
            "parameters": card.parameters,
            "sha256": card.sha256,
            "device": str(self.device),
            "precision": self.precision,
        }


class ZeroShotMethod(ModelMethod):
    """A model of the registry, fitted to each picture before it denoises it: `mdn zeroshot`.

    Its name is zeroshot:MODEL, or zeroshot:MODEL:PRESET. The fit counts as its time.
    """

    linear = False  # a fit is to pictures as shown
    may_fill = True

    def __init__(self, name: str, device: str, precision: str, seed: int) -> None:
        model, _, preset = name.removeprefix(ZERO_SHOT).partition(":")
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
        result = self._restored(noisy, fit)
        if fit.interrupted:
            raise KeyboardInterrupt
        return result


class BaselineMethod(Method):
    """A classical method; its name begins with peer:."""

    kind = "baseline"

    def __init__(self, name: str, baseline: Baseline) -> None:
        self.name, self.title, self._baseline = PEER + name, baseline.title, baseline
        self.linear = self.renders_only = baseline.renders
        versions = (f"{package} {version}" for package, version in baseline.versions.items())
        self.identity = "/".join([self.name, *versions])

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        coding = Display(noisy.dtype)
        arguments = (render,) if self.renders_only else (coding.encode(noisy), sigma)
        try:
            result = quiet(self._baseline.function, *arguments)
        except Exception as error:  # other people's code: one picture's failure is no end to all
            reason = " ".join(str(error).split())[:100] or type(error).__name__
            raise FileError(name, f"{self.name} failed on it ({reason})") from error
        if self.renders_only:
            return result
        return coding.decode(np.asarray(result, np.float32).reshape(noisy.shape))

    def describe(self) -> dict[str, object]:
        return super().describe() | {"versions": self._baseline.versions}


@dataclass(frozen=True)
class Methods:
    """The methods of a benchmark, and, by name, why a baseline of its list cannot run."""

    available: tuple[Method, ...]
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
    peers = [PEER + name for name in BASELINES]
    unique = dict.fromkeys(
        method for name in names for method in (peers if name == f"{PEER}all" else [name])
    )
    if not all(unique) or not unique:
        raise UsageError("--model has an empty name in it; write --model NAME,NAME")
    available: list[Method] = [Method()]
    missing: dict[str, str] = {}
    for name in unique:
        if name.startswith(PEER):
            baseline = find_baseline(name.removeprefix(PEER))
            if baseline.missing:
                missing[name] = baseline.missing
            else:
                available.append(BaselineMethod(name.removeprefix(PEER), baseline))
        else:
            kind = ZeroShotMethod if name.startswith(ZERO_SHOT) else ModelMethod
            available.append(kind(name, device, precision, seed))
    return Methods(tuple(available), missing)


def find_baseline(name: str) -> Baseline:
    """The baseline of that name, without "peer:". Raises UsageError that offers the nearest."""
    if name in BASELINES:
        return BASELINES[name]
    near = difflib.get_close_matches(name.lower(), BASELINES, n=3, cutoff=0.4) or list(BASELINES)
    raise UsageError(f"no peer {name!r}; try {', '.join(PEER + match for match in near)}")
