"""The work of a benchmark: every contender on every picture under every noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

import mdn
from mdn.encoding import Display
from mdn.errors import FileError
from mdn.metrics import Metric, score
from mdn.metrics import Protocol as Scoring
from mdn.tasks.bench import draws
from mdn.tasks.bench.cache import Cache, Score, key_of
from mdn.tasks.bench.contenders import Contender, Untouched
from mdn.tasks.bench.data import DataSet, Picture, digest, read
from mdn.tasks.bench.draws import Draw
from mdn.tasks.bench.resources import Meter
from mdn.tasks.bench.rows import Row


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


@dataclass
class Runner:
    """Measures; a picture that fails is told of once, and left out from then on.

    Attributes:
        failures: what was skipped, one line each.
        rows: in the order of data, noise, contenders.
        digests: sha256 of the files read so far.
        measured: data set and noise of the rows.
    """

    contenders: tuple[Contender, ...]
    rules: Rules
    cache: Cache
    report: Report
    failures: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    digests: dict[Path, str] = field(default_factory=dict)
    measured: list[tuple[str, Draw]] = field(default_factory=list)
    _bad: set[Path] = field(default_factory=set)
    _done: int = 0

    def measure(self, data: DataSet, draw: Draw) -> None:
        """All contenders on one data set under one noise: one row each."""
        rows = [Row(data.name, draw.label, each.name, each.kind) for each in self.contenders]
        self.rows += rows
        self.measured.append((data.name, draw))
        mark = draws.fingerprint(draw)
        for picture in data.pictures:
            self._one(picture, draw, mark, rows)

    def _one(self, picture: Picture, draw: Draw, mark: str, rows: list[Row]) -> None:
        before = self._done
        if picture.truth not in self._bad:
            try:
                self._all_on(picture, draw, mark, rows)
            except FileError as error:
                self._bad.add(picture.truth)
                self.fail(str(error))
        self._done = before + len(rows)  # the scores of a bad picture are dealt with, too

    def _all_on(self, picture: Picture, draw: Draw, mark: str, rows: list[Row]) -> None:
        pages: tuple[np.ndarray, np.ndarray] | None = None
        for contender, row in zip(self.contenders, rows, strict=True):
            key = self.key(picture, draw, mark, contender)
            found = self.cache.find(key, self.rules.metrics)
            row.reused += found is not None
            if found is None:
                pages = pages or self.pages(picture, draw)
                found = self._measured(contender, picture, draw, *pages)
                if found is None:
                    continue
                self.cache.add(key, found)
            row.add(picture.name, found)
            self._done += 1
            self.report.scored(row, self._done)

    def key(self, picture: Picture, draw: Draw, mark: str, contender: Contender) -> str:
        """What a score depends on; mark: draws.fingerprint of the draw."""
        files = [self._digest(path) for path in (picture.truth, picture.noisy) if path]
        rules = self.rules
        noise = (draw.label, mark, rules.seed, picture.truth.name)  # the name seeds the noise
        how = (rules.protocol.name, rules.unclipped)
        return key_of(mdn.__version__, contender.identity, files, noise, how)

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest(path)
        return self.digests[path]

    def pages(self, picture: Picture, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """The clean page and the noisy one. Raises FileError as data.read."""
        truth, noisy = read(picture)
        if noisy is None:
            rules = self.rules
            noisy = draws.add(truth, draw, picture, rules.seed, rules.protocol, rules.unclipped)
        return truth, noisy

    def _measured(
        self,
        contender: Contender,
        picture: Picture,
        draw: Draw,
        truth: np.ndarray,
        noisy: np.ndarray,
    ) -> Score | None:
        contender.prepare()
        sigma = true_sigma(draw, truth, noisy)
        try:
            with Meter(contender.device) as meter:
                result = contender.denoise(noisy, sigma, picture.name)
        except FileError as error:  # this contender's failure; the picture stays for the others
            self.fail(str(error))
            return None
        rules = self.rules
        scores = score(result, truth, rules.metrics, rules.protocol)
        if isinstance(contender, Untouched):
            for name in (name for name, value in scores.items() if value is None):
                self.report.note(f"{picture.name}: too small for {name}, which is left out")
        return Score(scores, meter.seconds, truth.shape[0] * truth.shape[1], meter.peak)

    def fail(self, line: str) -> None:
        """Records and tells that something was skipped."""
        self.failures.append(line)
        self.report.failed(line)


def true_sigma(draw: Draw, truth: np.ndarray, noisy: np.ndarray) -> float:
    """The noise's standard deviation, white being 1: its level, or what it did to the picture."""
    if draw.kind == "gaussian" and draw.level is not None:
        return draw.level / 255
    clean, other = (Display(page.dtype).encode(page) for page in (truth, noisy))
    return float(np.sqrt(np.mean((other - clean) ** 2, dtype=np.float64)))
