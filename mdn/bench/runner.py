"""The work of a benchmark: every method on every picture under every noise."""

import threading
import time
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import torch

import mdn
from mdn import metrics
from mdn.bench import noise_cases, renders
from mdn.bench.data import BenchImage, DataSet, digest, read
from mdn.bench.methods import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.scores import Cache, Row, Score, key_of
from mdn.encoding import Display
from mdn.engine.memory import resident
from mdn.errors import FileError
from mdn.metrics import Metric, Protocol

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


class BenchListener(typing.Protocol):
    """Who listens to a benchmark. The command line draws it; tests record it."""

    # `total` scores are to be had; `metric` is the first of those requested.
    def begin(self, total: int, metric: Metric) -> None: ...
    # A row has one score more; `done` scores are dealt with.
    def scored(self, row: Row, done: int) -> None: ...
    # A file was skipped, and why.
    def failed(self, line: str) -> None: ...
    def note(self, line: str) -> None: ...


@dataclass
class Runner:
    """Measures; a picture that fails is reported once, and left out from then on."""

    methods: tuple[Method, ...]
    rules: Rules
    cache: Cache
    listener: BenchListener
    failures: list[str] = field(default_factory=list)  # what was skipped, one line each
    rows: list[Row] = field(default_factory=list)  # in the order of data, noise, methods
    digests: dict[Path, str] = field(default_factory=dict)  # sha256 of the files read so far
    # data set and noise of the rows
    measured: list[tuple[str, NoiseCase]] = field(default_factory=list)
    _bad: set[Path] = field(default_factory=set)
    _done: int = 0

    def measure(self, data: DataSet, case: NoiseCase) -> None:
        """All methods on one data set under one noise: one row each."""
        methods = {method.name: method for method in self.applicable(data)}
        rows = {name: Row(data.name, case.label, name, m.kind) for name, m in methods.items()}
        self.rows += rows.values()
        self.measured.append((data.name, case))
        code = noise_cases.fingerprint(case)
        for picture in noise_cases.pictures(data, case):
            before = self._done
            if picture.truth not in self._bad:
                self._picture(picture, case, methods, rows, code)
            self._done = before + len(rows)  # the scores of a bad picture are dealt with, too

    def applicable(self, data: DataSet) -> list[Method]:
        """The methods that can do these pictures."""
        return [m for m in self.methods if data.renders or not m.renders_only]

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
        return metrics.score(result, task.truth, self.rules.metrics, self.rules.protocol, linear)

    def fail(self, line: str) -> None:
        """Records and reports that something was skipped."""
        self.failures.append(line)
        self.listener.failed(line)

    def _picture(
        self,
        picture: BenchImage,
        case: NoiseCase,
        methods: dict[str, Method],
        rows: dict[str, Row],
        code: str,
    ) -> None:
        """A score in each row: what an earlier run left, then what is missing."""
        names = self.rules.metrics
        try:
            keys = {name: self._key(picture, m, case, code) for name, m in methods.items()}
        except FileError as error:
            return self._leave_out(picture, error)
        scores = {name: self.cache.find(key, names) for name, key in keys.items()}
        for name, score in scores.items():
            if score is not None:
                rows[name].reused += 1
                self._add(rows[name], picture, score)
        if None not in scores.values():
            return None  # nothing is read
        try:
            task = self.task(picture, case)
        except FileError as error:
            return self._leave_out(picture, error)
        for name, method in methods.items():
            if scores[name] is None:
                try:
                    score = self._score(method, task)
                except FileError as error:  # this method's failure; the picture stays for others
                    self.fail(str(error))
                    continue
                self.cache.add(keys[name], score)
                self._add(rows[name], picture, score)
        return None

    def _leave_out(self, picture: BenchImage, error: FileError) -> None:
        """From now on: it cannot be read."""
        self._bad.add(picture.truth)
        self.fail(str(error))

    def _score(self, method: Method, task: Task) -> Score:
        """Of one method. Raises FileError where it cannot do the picture."""
        method.prepare()
        with Usage(method.device) as usage:
            result = denoise(method, task)
        figures = self.score(result, task)
        for name, value in figures.items() if method.kind == "input" else ():
            # That other pictures hold no linear light is noted once for the data set.
            if value is None and not (metrics.get(name).linear and task.render is None):
                self.listener.note(f"{task.name}: too small for {name}, which is left out")
        pixels = task.truth.shape[0] * task.truth.shape[1]
        return Score(figures, usage.seconds, pixels, usage.peak)

    def _key(self, picture: BenchImage, method: Method, case: NoiseCase, code: str) -> str:
        """What a score depends on; code: noise_cases.fingerprint of the case."""
        files = [self._digest(path) for path in (picture.truth, picture.noisy) if path]
        rules = self.rules
        noise = (case.label, code, rules.seed, picture.truth.name)  # the name seeds the noise
        how = (rules.protocol.name, rules.unclipped)
        return key_of(mdn.__version__, method.identity, files, noise, how)

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest(path)
        return self.digests[path]

    def _add(self, row: Row, picture: BenchImage, score: Score) -> None:
        row.scores[picture.name] = score
        self._done += 1
        self.listener.scored(row, self._done)
