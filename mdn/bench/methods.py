"""Who takes part in a benchmark: the noisy picture itself, models, and classical peers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from mdn import zeroshot
from mdn.batch.running import Job, Outcome
from mdn.bench import baselines
from mdn.bench.renders import Render
from mdn.engine import choose_device, choose_precision
from mdn.errors import UsageError
from mdn.pipeline import photo
from mdn.pipeline.denoise_tiles import unheard
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.renders import RenderOptions, frame

FITTED = "zeroshot:"


class Contender(Protocol):
    """Anything that turns a noisy page into a cleaner one.

    Attributes:
        name: what rows call it.
        kind: input, model or peer.
        identity: changes when its results may.
        device: where it computes.
        linear: it takes renders in linear light.
        renders_only: it takes nothing else.
    """

    name: str
    kind: str
    identity: str
    device: torch.device
    linear: bool
    renders_only: bool

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """(H, W, C) in its dtype -> the same, denoised.

        sigma is the true deviation of the noise, in units of white; only methods that say so use
        it. render: the guides, for those who take linear light. Raises FileError where it cannot
        do the picture called `name`.
        """
        ...

    def prepare(self) -> None:
        """Whatever need not be timed: loads what is loaded once. Told before every picture."""
        ...

    def describe(self) -> dict[str, object]:
        """What a report says of it; JSON-able."""
        ...


class Untouched:
    """The noisy picture as it is: what all others must beat."""

    name, kind, identity, device = "noisy", "input", "noisy", torch.device("cpu")
    linear, renders_only = True, False

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Contender."""
        return noisy

    def prepare(self) -> None:
        """See Contender."""

    def describe(self) -> dict[str, object]:
        """See Contender."""
        return {"name": self.name, "kind": self.kind, "title": "the input itself"}


class Model:
    """A model of the registry; NAME:8 is the mean of 8 of its passes, as mdn denoise makes them.

    Raises:
        ModelError: there is none of that name, or its weights are missing or damaged.
        UsageError: more passes than it has.
    """

    kind, linear, renders_only = "model", True, False

    def __init__(self, name: str, device: str, precision: str, seed: int) -> None:
        found = re.fullmatch(r"(.+):(\d{1,4})", name)
        passes = max(1, int(found[2])) if found else 1
        options = Options(seed=seed, precision=precision)
        plain = found[1] if found else name
        self._models = Models(
            plain, device=device, options=options, passes=passes, may_fill=self.may_fill
        )
        self._models.check()
        card = self._card = self._models.card()
        store.verify(card)  # known now, not an hour later when its turn comes
        self.name, self.device = name, choose_device(device)
        dtype = choose_precision(precision, self.device, card.precisions)
        self.precision = str(dtype or torch.float32).removeprefix("torch.")
        self.identity = f"{card.sha256}/{self.device.type}/{self.precision}/{seed}"
        if passes > 1:
            self.identity += f"/{passes} passes"

    may_fill = False

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Contender. Of a render, what `mdn denoise` makes of its file."""
        model, options = self._models.load(), self._models.options()
        if render is None:
            return photo.restore(noisy, model, options).pixels
        assert render.file is not None
        asked = RenderOptions()
        planned = frame.plan(render.file, asked)
        constants = frame.measure(planned)
        cleaned, _, _ = frame.denoise(planned, model, options, asked, constants, unheard)
        return planned.targets[0].pixels(cleaned).astype(np.float32)

    def prepare(self) -> None:
        """See Contender."""
        self._models.load()

    def describe(self) -> dict[str, object]:
        """See Contender."""
        return {
            "name": self.name,
            "kind": self.kind,
            "title": self._card.title,
            "arch": self._card.arch,
            "parameters": self._card.parameters,
            "sha256": self._card.sha256,
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
        fit = zeroshot.FitOptions(preset or "auto")
        self._asked = zeroshot.FitRequest(fit, self._models.options())
        self.name = name
        # What a fit does is in the code, not in the weights: other versions are other contenders.
        self.identity = f"zeroshot/{zeroshot.make_plan(fit, None)}/{self.identity}"

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Contender."""
        model, options = self._models.load(), self._models.options()
        fitting = zeroshot.Fitting(self._asked, Job(None, None, name), Silent())
        result = photo.restore(noisy, model, options, adapter=fitting).pixels
        if fitting.interrupted:
            raise KeyboardInterrupt
        return result


class Silent:
    """A report to nobody: a benchmark tells of scores, not of steps."""

    def started(self, job: Job, index: int, total: int) -> None:
        """See Report."""

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        """See Report."""

    def note(self, job: Job, line: str) -> None:
        """See Report."""

    def finished(self, outcome: Outcome) -> None:
        """See Report."""


class Classical:
    """A peer, under the name it was asked for by."""

    kind, device = "peer", torch.device("cpu")

    def __init__(self, peer: baselines.Peer) -> None:
        self._peer = peer
        self.name = baselines.PREFIX + peer.name
        self.linear = self.renders_only = peer.renders
        versions = [f"{package} {version}" for package, version in peer.versions.items()]
        self.identity = "/".join([self.name, *versions])

    def denoise(
        self, noisy: np.ndarray, sigma: float, name: str, render: Render | None = None
    ) -> np.ndarray:
        """See Contender."""
        return self._peer.denoise(noisy, sigma, name, render)

    def prepare(self) -> None:
        """See Contender."""

    def describe(self) -> dict[str, object]:
        """See Contender."""
        about = {"name": self.name, "kind": self.kind, "title": self._peer.title}
        return about | {"versions": self._peer.versions}


@dataclass(frozen=True)
class Field:
    """All who were named: those who take part, and, by name, why a peer cannot."""

    contenders: tuple[Contender, ...]
    missing: dict[str, str]


def line_up(names: tuple[str, ...], device: str, precision: str, seed: int) -> Field:
    """The contenders of those names, the noisy input first.

    Args:
        names: of models, NAME:PASSES, zeroshot:MODEL, or peer:NAME; peer:all is every peer.
        device, precision, seed: for the models.

    Raises:
        UsageError: an unknown peer, or no name at all.
        ModelError: an unknown or damaged model.
    """
    every = [baselines.PREFIX + each for each in baselines.PEERS]
    wanted = dict.fromkeys(
        each for name in names for each in (every if name == f"{baselines.PREFIX}all" else [name])
    )
    if not all(wanted) or not wanted:
        raise UsageError("--model has an empty name in it; write --model NAME,NAME")
    contenders: list[Contender] = [Untouched()]
    missing: dict[str, str] = {}
    for name in wanted:
        if not name.startswith(baselines.PREFIX):
            kind = Fitted if name.startswith(FITTED) else Model
            contenders.append(kind(name, device, precision, seed))
            continue
        peer = baselines.find(name.removeprefix(baselines.PREFIX))
        if peer.missing:
            missing[name] = peer.missing
        else:
            contenders.append(Classical(peer))
    return Field(tuple(contenders), missing)
