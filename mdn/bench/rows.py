"""From the scores of single pictures to the rows of a table."""

import math
import statistics
from dataclasses import dataclass, field

from mdn.bench.cache import Score


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
    scores: list[Score] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # names of those scored so far
    reused: int = 0  # how many of them an earlier run had computed

    def add(self, picture: str, score: Score) -> None:
        """One picture more."""
        self.pictures.append(picture)
        self.scores.append(score)

    @property
    def label(self) -> str:
        """cbsd68/gaussian25."""
        return f"{self.data}/{self.noise}"

    def stat(self, metric: str) -> Stat | None:
        """The metric over the pictures that are large enough for it, or None without any."""
        values = [score.metrics.get(metric) for score in self.scores]
        kept = [value for value in values if value is not None]
        if not kept:
            return None
        finite = all(math.isfinite(value) for value in kept)
        spread = statistics.stdev(kept) if len(kept) > 1 and finite else None
        return Stat(statistics.fmean(kept), spread, len(kept))

    @property
    def microseconds(self) -> float | None:
        """By pixel; the median of the pictures, since the first one warms things up."""
        if self.kind == "input" or not self.scores:
            return None
        return statistics.median(1e6 * score.seconds / score.pixels for score in self.scores)

    @property
    def peak(self) -> int | None:
        """Bytes of memory, the most of any picture."""
        if self.kind == "input" or not self.scores:
            return None
        return max(score.peak for score in self.scores)
