"""The work of a benchmark: every method on every picture under every noise."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import mdn
from mdn.bench import noise_cases
from mdn.bench.cache import Cache, Score, key_of
from mdn.bench.data import DataSet, Picture, digest
from mdn.bench.method import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.rows import Row
from mdn.bench.scoring import Event, Question, Scorer
from mdn.errors import FileError
from mdn.metrics import Metric

# Questions -> each with what came of it, in their order.
Spread = Callable[[Iterable[Question]], Iterator[tuple[Question, Iterable[Event]]]]


class Report(Protocol):
    """Who listens to a benchmark. The command line draws it; tests record it."""

    # `total` scores are to be had; `metric` is the first of those asked for.
    def begin(self, total: int, metric: Metric) -> None: ...
    # A row has one score more; `done` scores are dealt with.
    def scored(self, row: Row, done: int) -> None: ...
    # A file was skipped, and why.
    def failed(self, line: str) -> None: ...
    def note(self, line: str) -> None: ...


@dataclass
class Runner:
    """Measures; a picture that fails is reported once, and left out from then on."""

    scorer: Scorer
    cache: Cache
    report: Report
    spread: Spread  # has the scorer answer questions, here or on a cluster
    failures: list[str] = field(default_factory=list)  # what was skipped, one line each
    rows: list[Row] = field(default_factory=list)  # in the order of data, noise, methods
    digests: dict[Path, str] = field(default_factory=dict)  # sha256 of the files read so far
    # data set and noise of the rows
    measured: list[tuple[str, NoiseCase]] = field(default_factory=list)
    _bad: set[Path] = field(default_factory=set)
    _done: int = 0

    def measure(self, data: DataSet, case: NoiseCase) -> None:
        """All methods on one data set under one noise: one row each."""
        methods = self.applicable(data)
        rows = {each.name: Row(data.name, case.label, each.name, each.kind) for each in methods}
        self.rows += rows.values()
        self.measured.append((data.name, case))
        key = partial(self.key, case=case, mark=noise_cases.fingerprint(case))
        pictures = noise_cases.pictures(data, case)
        questions = (self._question(each, case, methods, key) for each in pictures)
        for question, events in self.spread(questions):
            before, picture = self._done, question.picture
            for name, score in question.known:
                rows[name].reused += 1
                self._add(rows[name], picture, score)
            for event in events:
                if event.score is not None:
                    method = next(each for each in methods if each.name == event.method)
                    self.cache.add(key(picture, method), event.score)
                    self._add(rows[method.name], picture, event.score)
                if event.failure:
                    self.fail(event.failure)
                if event.note:
                    self.report.note(event.note)
                if event.unusable:
                    self._bad.add(picture.truth)
            self._done = before + len(rows)  # the scores of a bad picture are dealt with, too

    def applicable(self, data: DataSet) -> list[Method]:
        """The methods that can do these pictures."""
        return [each for each in self.scorer.methods if data.renders or not each.renders_only]

    def _question(
        self,
        picture: Picture,
        case: NoiseCase,
        methods: list[Method],
        key: Callable[[Picture, Method], str],
    ) -> Question:
        """What is still to be asked of a picture; nothing of one that has failed."""
        if picture.truth in self._bad:
            return Question(picture, case)
        try:
            keys = {each.name: key(picture, each) for each in methods}
        except FileError as error:
            self._bad.add(picture.truth)
            self.fail(str(error))
            return Question(picture, case)
        wanted = self.scorer.rules.metrics
        found = {name: self.cache.find(text, wanted) for name, text in keys.items()}
        known = tuple((name, score) for name, score in found.items() if score is not None)
        return Question(picture, case, tuple(n for n, s in found.items() if s is None), known)

    def key(self, picture: Picture, method: Method, case: NoiseCase, mark: str) -> str:
        """What a score depends on; mark: noise_cases.fingerprint of the case."""
        files = [self._digest(path) for path in (picture.truth, picture.noisy) if path]
        rules = self.scorer.rules
        noise = (case.label, mark, rules.seed, picture.truth.name)  # the name seeds the noise
        how = (rules.protocol.name, rules.unclipped)
        return key_of(mdn.__version__, method.identity, files, noise, how)

    def _digest(self, path: Path) -> str:
        if path not in self.digests:
            self.digests[path] = digest(path)
        return self.digests[path]

    def _add(self, row: Row, picture: Picture, score: Score) -> None:
        row.add(picture.name, score)
        self._done += 1
        self.report.scored(row, self._done)

    def fail(self, line: str) -> None:
        """Records and reports that something was skipped."""
        self.failures.append(line)
        self.report.failed(line)
