"""Which pictures a method made worse than they came, or helped least: `mdn bench --worst`."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mdn.bench.rows import Row
from mdn.metrics import Metric

LISTED = 10
NOTICEABLE = 0.02  # dB: a smaller loss is that of rounding
CEILING = 60.0  # dB: a picture equal to the truth counts as this much, so that losses stay finite


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


def find(rows: Sequence[Row], metric: Metric) -> list[Loss]:
    """Every picture of every method against its noisy input, the largest loss first."""
    inputs = {
        (row.label, picture): score.metrics.get(metric.name)
        for row in rows
        if row.kind == "input"
        for picture, score in zip(row.pictures, row.scores, strict=True)
    }
    found = []
    for row in (row for row in rows if row.kind != "input"):
        for picture, score in zip(row.pictures, row.scores, strict=True):
            before, after = inputs.get((row.label, picture)), score.metrics.get(metric.name)
            if before is None or after is None:
                continue
            gain = min(after, CEILING) - min(before, CEILING)
            gain = -gain if metric.lower else gain
            names = row.data, row.noise, picture, row.method
            found.append(Loss(*names, before, after, gain))
    return sorted(found, key=lambda loss: loss.gain)


def summary(losses: Sequence[Loss], metric: Metric) -> list[str]:
    """One line for each method: how many of its pictures came out worse than they went in."""
    lines = []
    for name in dict.fromkeys(loss.method for loss in losses):
        mine = [loss for loss in losses if loss.method == name]
        worse = sum(loss.gain < -threshold(metric) for loss in mine)
        lines.append(
            f"{name}: {worse} of {len(mine)} pictures came out worse than they went in "
            f"({metric.title}, by more than {threshold(metric):g})"
        )
    return lines


def threshold(metric: Metric) -> float:
    """The smallest loss that counts; metrics other than those in dB have a scale of about 1."""
    return NOTICEABLE if metric.title.endswith("dB") else NOTICEABLE / 100


TITLES = ("data/noise", "picture", "model", "before", "after", "gain")


def cells(loss: Loss, metric: Metric) -> list[str]:
    """A loss as people read it, in the order of TITLES."""
    figures = [
        f"{value:.{metric.digits}f}" if math.isfinite(value) else "equal"
        for value in (loss.before, loss.after)
    ]
    picture = loss.picture.rpartition("/")[2]
    gain = f"{loss.gain:+.{metric.digits}f}"
    return [f"{loss.data}/{loss.noise}", picture, loss.method, *figures, gain]


def table(losses: Sequence[Loss]) -> list[dict[str, Any]]:
    """The same for JSON, which knows no infinity: equal to the truth is None."""
    return [
        {key: None if value == math.inf else value for key, value in asdict(loss).items()}
        for loss in losses
    ]
