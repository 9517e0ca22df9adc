"""Scores of single pictures: as an earlier run left them, as rows of a table, and as losses."""

import hashlib
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from mdn.errors import FileError
from mdn.metrics import Metric

FILE = "scores.jsonl"
NOTICEABLE = 0.02  # dB: a smaller loss is that of rounding
CEILING = 60.0  # dB: a picture equal to the truth counts as this much, so that losses stay finite


@dataclass(frozen=True)
class Score:
    """What one method did on one picture."""

    metrics: dict[str, float | None]  # by name; None where the picture is too small for the metric
    seconds: float
    pixels: int  # height times width
    peak: int  # bytes of memory; see scoring.Usage


class Cache:
    """Scores by key; each is also a line of FILE as soon as it is there. Without a folder: none.

    A line that is not whole, as a killed run leaves it, counts as never written.

    Raises FileError: the folder cannot be made, or its file not be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self._scores: dict[str, Score] = {}
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                self._load(self._path.read_bytes())
            self._append("")  # whether it can be written shows now, not after the first hour
        except OSError as error:
            raise FileError(self._path, f"cannot be used: {error.strerror}") from error

    def _load(self, data: bytes) -> None:
        for line in data.splitlines():
            try:
                table = json.loads(line)
                key = table.pop("key")
                self._scores[key] = Score(**table)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        if data and not data.endswith(b"\n"):
            self._append("\n")

    def find(self, key: str, metrics: tuple[str, ...]) -> Score | None:
        """The score of that key, if it is there with all of these metrics."""
        score = self._scores.get(key)
        return score if score and score.metrics.keys() >= set(metrics) else None

    def add(self, key: str, score: Score) -> None:
        """Stores a score, together with the other metrics that its key has already."""
        if self._path is None:
            return
        if earlier := self._scores.get(key):
            score = replace(score, metrics=earlier.metrics | score.metrics)
        self._scores[key] = score
        try:
            self._append(json.dumps({"key": key} | asdict(score)) + "\n")
        except OSError as error:
            raise FileError(self._path, f"cannot be written: {error.strerror}") from error

    def _append(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(text)


def key_of(*parts: object) -> str:
    """What a score depends on (JSON-able), as one short text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Stat:
    """A metric over the pictures of a row: mean, sample standard deviation, number of pictures."""

    mean: float
    spread: float | None
    count: int


@dataclass
class Row:
    """One method on one data set under one noise; grows picture by picture."""

    data: str
    noise: str  # the label of its case
    method: str
    kind: str  # input, model or baseline
    scores: dict[str, Score] = field(default_factory=dict)  # by picture
    reused: int = 0  # how many of them an earlier run had computed

    @property
    def label(self) -> str:
        """cbsd68/gaussian25."""
        return f"{self.data}/{self.noise}"

    def stat(self, metric: str) -> Stat | None:
        """The metric over the pictures that are large enough for it, or None without any."""
        figures = [score.metrics.get(metric) for score in self.scores.values()]
        values = [value for value in figures if value is not None]
        if not values:
            return None
        finite = all(math.isfinite(value) for value in values)
        spread = statistics.stdev(values) if len(values) > 1 and finite else None
        return Stat(statistics.fmean(values), spread, len(values))

    @property
    def microseconds(self) -> float | None:
        """By pixel; the median of the pictures, since the first one warms things up."""
        if self.kind == "input" or not self.scores:
            return None
        return statistics.median(
            1e6 * score.seconds / score.pixels for score in self.scores.values()
        )

    @property
    def peak(self) -> int | None:
        """Bytes of memory, the most of any picture."""
        if self.kind == "input" or not self.scores:
            return None
        return max(score.peak for score in self.scores.values())


@dataclass(frozen=True)
class Loss:
    """One picture, before and after a method."""

    data: str
    noise: str
    picture: str
    method: str
    before: float  # the metric of the noisy input; infinite where equal to the truth
    after: float  # that of the result, likewise
    gain: float  # after less before, the other way round where lower is better; negative is a loss


def losses_of(rows: Sequence[Row], metric: Metric) -> list[Loss]:
    """Every picture of every method against its noisy input, the largest loss first."""
    inputs = {row.label: row.scores for row in rows if row.kind == "input"}
    losses = []
    for row in (row for row in rows if row.kind != "input"):
        for picture, score in row.scores.items():
            noisy = inputs.get(row.label, {}).get(picture)
            before = noisy.metrics.get(metric.name) if noisy else None
            after = score.metrics.get(metric.name)
            if before is None or after is None:
                continue
            gain = min(after, CEILING) - min(before, CEILING)
            names = row.data, row.noise, picture, row.method
            losses.append(Loss(*names, before, after, -gain if metric.lower else gain))
    return sorted(losses, key=lambda loss: loss.gain)


def loss_counts(losses: Sequence[Loss], metric: Metric) -> list[str]:
    """A line for each method: how many of its pictures came out worse than they went in."""
    # Metrics other than those in dB have a scale of about 1.
    least = NOTICEABLE if metric.title.endswith("dB") else NOTICEABLE / 100
    lines = []
    for name in dict.fromkeys(loss.method for loss in losses):
        gains = [loss.gain for loss in losses if loss.method == name]
        worse = sum(gain < -least for gain in gains)
        lines.append(
            f"{name}: {worse} of {len(gains)} pictures came out worse than they went in "
            f"({metric.title}, by more than {least:g})"
        )
    return lines
