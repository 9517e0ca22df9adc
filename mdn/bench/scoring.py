"""One noisy picture, cleaned by several methods and scored: what a worker of a benchmark does."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from mdn.bench import methods, noise_cases, renders
from mdn.bench.data import BenchImage, read
from mdn.bench.methods import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.scores import Score
from mdn.encoding import Display
from mdn.engine.memory import resident
from mdn.errors import FileError
from mdn.metrics import Protocol, get, score

PERIOD = 0.01  # seconds between two looks at main memory


class Usage:
    """Measures the work in its `with` block.

    Attributes:
        seconds: wall-clock time.
        peak: bytes. On a GPU what PyTorch had allocated there; else what the whole process held in
            main memory, looked at every 10 ms, since the system's own high-water mark never falls.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds, self.peak = 0.0, 0
        self._gpu = device if device.type == "cuda" else None
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._gpu is not None:
            torch.cuda.reset_peak_memory_stats(self._gpu)
        else:
            self.peak = resident()
            self._watcher.start()
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begun
        if self._gpu is not None:
            self.peak = torch.cuda.max_memory_allocated(self._gpu)
        else:
            self._over.set()
            self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            self.peak = max(self.peak, resident())


@dataclass(frozen=True)
class Rules:
    """How everything is measured; see benchmark.BenchRequest."""

    metrics: tuple[str, ...]
    protocol: Protocol
    unclipped: bool
    seed: int


@dataclass(frozen=True)
class Task:
    """One noisy picture to be cleaned."""

    name: str  # what messages call it
    truth: np.ndarray  # (H, W, C), as stored; linear light where there is a render
    noisy: np.ndarray
    sigma: float  # the noise's standard deviation, white being 1, as methods see the page
    render: renders.Render | None = None  # the noisy render with its guides, or None


@dataclass(frozen=True)
class ScoreRequest:
    """What is to be scored: a picture under a noise, by these methods.

    earlier: scores of other methods that an earlier run left, with their names.
    """

    picture: BenchImage
    case: NoiseCase
    methods: tuple[str, ...] = ()
    earlier: tuple[tuple[str, Score], ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that came of a request."""

    method: str = ""  # whose score it is, or empty
    score: Score | None = None  # or None
    failure: str = ""  # a line, or empty
    note: str = ""
    unusable: bool = False  # the picture itself cannot be used


@dataclass(frozen=True)
class Scorer:
    """The methods and rules of a benchmark."""

    methods: tuple[Method, ...]
    rules: Rules

    def __call__(self, request: ScoreRequest) -> Iterator[Event]:
        """What comes of a request, one by one; nothing is read where it names no method."""
        if not request.methods:
            return
        try:
            task = self.task(request.picture, request.case)
        except FileError as error:
            yield Event(failure=str(error), unusable=True)
            return
        for method in self.methods:
            if method.name in request.methods:
                yield from self._events(method, task)

    def task(self, picture: BenchImage, case: NoiseCase) -> Task:
        """What methods are given. Raises FileError as data.read."""
        pixels = read(picture)
        noisy, truth = pixels.noisy, pixels.truth
        if noisy is None:
            rules = self.rules
            noisy, truth = noise_cases.add(
                truth, case, picture, rules.seed, rules.protocol, rules.unclipped
            )
        return Task(picture.name, truth, noisy, true_sigma(case, truth, noisy), pixels.render)

    def score(self, result: np.ndarray, task: Task) -> dict[str, float | None]:
        """All metrics of a result."""
        linear = task.render is not None
        return score(result, task.truth, self.rules.metrics, self.rules.protocol, linear)

    def _events(self, method: Method, task: Task) -> Iterator[Event]:
        method.prepare()
        try:
            with Usage(method.device) as usage:
                result = denoise(method, task)
        except FileError as error:  # this method's failure; the picture stays for the others
            yield Event(failure=str(error))
            return
        scores = self.score(result, task)
        for name, value in scores.items() if method.kind == "input" else ():
            # That other pictures hold no linear light is noted once for the data set.
            if value is None and not (get(name).linear and task.render is None):
                yield Event(note=f"{task.name}: too small for {name}, which is left out")
        pixels = task.truth.shape[0] * task.truth.shape[1]
        yield Event(method.name, Score(scores, usage.seconds, pixels, usage.peak))


def on_worker(names: tuple[str, ...], device: str, precision: str, rules: Rules) -> Scorer:
    """The scorer of another process, its methods as `methods.resolve` gives them there."""
    return Scorer(methods.resolve(names, device, precision, rules.seed).available, rules)


def denoise(method: Method, task: Task) -> np.ndarray:
    """What a method makes of a task, in the task's own values.

    Baselines that know nothing of linear light are shown renders through a gamma, not clipped.
    Raises FileError where it cannot do the picture.
    """
    if task.render is None or method.linear:
        return method.denoise(task.noisy, task.sigma, task.name, task.render)
    shown = renders.encode(task.noisy)
    return renders.decode(method.denoise(shown, task.sigma, task.name, None))


def true_sigma(case: NoiseCase, truth: np.ndarray, noisy: np.ndarray) -> float:
    """The noise's standard deviation, white being 1: its level, or what it did to the picture."""
    if case.kind == "gaussian" and case.level is not None:
        return case.level / 255
    coding = renders.encode if case.kind == noise_cases.SPP else Display(truth.dtype).encode
    clean, other = coding(truth), coding(noisy)
    return float(np.sqrt(np.mean((other - clean) ** 2, dtype=np.float64)))
