"""The work of a benchmark: every method on every picture under every noise."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import mdn
from mdn.bench import noise_cases
from mdn.bench.data import BenchImage, DataSet, digest
from mdn.bench.methods import Method
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.scores import Cache, Row, Score, key_of
from mdn.bench.scoring import Event, Scorer, ScoreRequest
from mdn.errors import FileError
from mdn.metrics import Metric

# Requests -> each with what came of it, in their order.
Spread = Callable[[Iterable[ScoreRequest]], Iterator[tuple[ScoreRequest, Iterable[Event]]]]


class BenchListener(Protocol):
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

    scorer: Scorer
    cache: Cache
    listener: BenchListener
    spread: Spread  # has the scorer answer requests, here or on a cluster
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
        pictures = noise_cases.pictures(data, case)
        requests = (self._request(picture, case, methods, code) for picture in pictures)
        for request, events in self.spread(requests):
            before, picture = self._done, request.picture
            for name, score in request.earlier:
                rows[name].reused += 1
                self._add(rows[name], picture, score)
            for event in events:
                if event.score is not None:
                    key = self._key(picture, methods[event.method], case, code)
                    self.cache.add(key, event.score)
                    self._add(rows[event.method], picture, event.score)
                if event.failure:
                    self.fail(event.failure)
                if event.note:
                    self.listener.note(event.note)
                if event.unusable:
                    self._bad.add(picture.truth)
            self._done = before + len(rows)  # the scores of a bad picture are dealt with, too

    def applicable(self, data: DataSet) -> list[Method]:
        """The methods that can do these pictures."""
        return [m for m in self.scorer.methods if data.renders or not m.renders_only]

    def fail(self, line: str) -> None:
        """Records and reports that something was skipped."""
        self.failures.append(line)
        self.listener.failed(line)

    def _request(
        self, picture: BenchImage, case: NoiseCase, methods: dict[str, Method], code: str
    ) -> ScoreRequest:
        """What is still to be scored of a picture; nothing of one that has failed."""
        if picture.truth in self._bad:
            return ScoreRequest(picture, case)
        metrics = self.scorer.rules.metrics
        try:
            scores = {
                name: self.cache.find(self._key(picture, method, case, code), metrics)
                for name, method in methods.items()
            }
        except FileError as error:
            self._bad.add(picture.truth)
            self.fail(str(error))
            return ScoreRequest(picture, case)
        earlier = tuple((name, score) for name, score in scores.items() if score is not None)
        missing = tuple(name for name, score in scores.items() if score is None)
        return ScoreRequest(picture, case, missing, earlier)

    def _key(self, picture: BenchImage, method: Method, case: NoiseCase, code: str) -> str:
        """What a score depends on; code: noise_cases.fingerprint of the case."""
        files = [self._digest(path) for path in (picture.truth, picture.noisy) if path]
        rules = self.scorer.rules
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
