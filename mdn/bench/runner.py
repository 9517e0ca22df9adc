"""The work of a benchmark: every method on every picture under every noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

import mdn
from mdn.bench import noise_cases, renders
from mdn.bench.cache import Cache, Score, key_of
from mdn.bench.data import DataSet, Picture, digest, read
from mdn.bench.method import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.resources import Meter
from mdn.bench.rows import Row
from mdn.encoding import Display
from mdn.errors import FileError
from mdn.metrics import Metric, get, score
from mdn.metrics import Protocol as Scoring


class Report(Protocol):
    """Who listens to a benchmark. The command line draws it; tests record it."""

    def begin(self, total: int, metric: Metric) -> None:
        """`total` scores are to be had; `metric` is the first of those asked for."""
        ...

    def scored(self, row: Row, done: int) -> None:
        """A row has one score more; `done` scores are dealt with."""
        ...

    def failed(self, line: str) -> None:
        """A file was skipped, and why."""
        ...

    def note(self, line: str) -> None:
        """A remark."""
        ...


@dataclass(frozen=True)
class Rules:
    """How everything is measured; see bench.Settings."""

    metrics: tuple[str, ...]
    protocol: Scoring
    unclipped: bool
    seed: int


@dataclass(frozen=True)
class Task:
    """One noisy picture to be cleaned.

    Attributes:
        name: what messages call it.
        truth, noisy: (H, W, C), as stored; linear light where there is a render.
        sigma: the noise's standard deviation, white being 1, as methods see the page.
        render: the noisy render with its guides, or None.
    """

    name: str
    truth: np.ndarray
    noisy: np.ndarray
    sigma: float
    render: renders.Render | None = None


@dataclass
class Runner:
    """Measures; a picture that fails is reported once, and left out from then on.

    Attributes:
        failures: what was skipped, one line each.
        rows: in the order of data, noise, methods.
        digests: sha256 of the files read so far.
        measured: data set and noise of the rows.
    """

    methods: tuple[Method, ...]
    rules: Rules
    cache: Cache
    report: Report
    failures: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    digests: dict[Path, str] = field(default_factory=dict)
    measured: list[tuple[str, NoiseCase]] = field(default_factory=list)
    _bad: set[Path] = field(default_factory=set)
    _done: int = 0

    def measure(self, data: DataSet, case: NoiseCase) -> None:
        """All methods on one data set under one noise: one row each."""
        methods = self.applicable(data)
        rows = [Row(data.name, case.label, each.name, each.kind) for each in methods]
        self.rows += rows
        self.measured.append((data.name, case))
        mark = noise_cases.fingerprint(case)
        for picture in noise_cases.pictures(data, case):
            before = self._done
            if picture.truth not in self._bad:
                try:
                    self._measure(picture, case, mark, list(zip(methods, rows, strict=True)))
                except FileError as error:
                    self._bad.add(picture.truth)
                    self.fail(str(error))
            self._done = before + len(rows)  # the scores of a bad picture are dealt with, too

    def applicable(self, data: DataSet) -> list[Method]:
        """The methods that can do these pictures."""
        return [each for each in self.methods if data.renders or not each.renders_only]

    def _measure(
        self, picture: Picture, case: NoiseCase, mark: str, field: list[tuple[Method, Row]]
    ) -> None:
        task: Task | None = None
        for method, row in field:
            key = self.key(picture, case, mark, method)
            found = self.cache.find(key, self.rules.metrics)
            row.reused += found is not None
            if found is None:
                task = task or self.task(picture, case)
                found = self._score(method, task)
                if found is None:
                    continue
                self.cache.add(key, found)
            row.add(picture.name, found)
            self._done += 1
            self.report.scored(row, self._done)

    def key(self, picture: Picture, case: NoiseCase, mark: str, method: Method) -> str:
        """What a score depends on; mark: noise_cases.fingerprint of the case."""
        files = [self._digest(path) for path in (picture.truth, picture.noisy) if path]
        rules = self.rules
        noise = (case.label, mark, rules.seed, picture.truth.name)  # the name seeds the noise
        how = (rules.protocol.name, rules.unclipped)
        return key_of(mdn.__version__, method.identity, files, noise, how)

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest(path)
        return self.digests[path]

    def task(self, picture: Picture, case: NoiseCase) -> Task:
        """What methods are given. Raises FileError as data.read."""
        pages = read(picture)
        noisy, truth = pages.noisy, pages.truth
        if noisy is None:
            rules = self.rules
            noisy, truth = noise_cases.add(
                truth, case, picture, rules.seed, rules.protocol, rules.unclipped
            )
        return Task(picture.name, truth, noisy, true_sigma(case, truth, noisy), pages.render)

    def score(self, result: np.ndarray, task: Task) -> dict[str, float | None]:
        """All metrics of a result."""
        linear = task.render is not None
        return score(result, task.truth, self.rules.metrics, self.rules.protocol, linear)

    def _score(self, method: Method, task: Task) -> Score | None:
        method.prepare()
        try:
            with Meter(method.device) as meter:
                result = denoise(method, task)
        except FileError as error:  # this method's failure; the picture stays for the others
            self.fail(str(error))
            return None
        scores = self.score(result, task)
        for name, value in scores.items() if method.kind == "input" else ():
            # That other pictures hold no linear light is noted once for the data set.
            if value is None and not (get(name).linear and task.render is None):
                self.report.note(f"{task.name}: too small for {name}, which is left out")
        return Score(scores, meter.seconds, task.truth.shape[0] * task.truth.shape[1], meter.peak)

    def fail(self, line: str) -> None:
        """Records and reports that something was skipped."""
        self.failures.append(line)
        self.report.failed(line)


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
