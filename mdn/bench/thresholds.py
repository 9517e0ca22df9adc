"""Conditions on the figures of a benchmark: "cbsd68/gaussian25>=30.7"."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mdn import metrics
from mdn.bench.rows import Row
from mdn.errors import UsageError

_FORM = re.compile(
    r"(?:(?P<who>[^@]+)@)?(?P<row>[^@<>:]+?)(?::(?P<metric>[a-z-]+))?"
    r"\s*(?P<sign>>=|<=)\s*(?P<bound>-?\d+(?:\.\d*)?|\.\d+)"
)
HELP = "write [MODEL@]DATA/NOISE[:METRIC]>=NUMBER, such as cbsd68/gaussian25>=30.7"


@dataclass(frozen=True)
class Condition:
    """One condition."""

    text: str  # as it was given
    label: str  # the row, data/noise
    who: tuple[str, ...]  # the methods it holds for
    metric: str  # the figure
    sign: str  # >= or <=
    bound: float  # the number

    def holds(self, value: float) -> bool:
        """Whether a figure meets the bound."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound


def parse(
    text: str,
    labels: Mapping[str, Sequence[str]],
    kinds: Mapping[str, str],
    measured: Iterable[str],
) -> Condition:
    """A condition, checked against what the benchmark will measure, before it does.

    Args:
        labels: the noise labels of each data set.
        kinds: input, model or baseline, of each method by name.
        measured: names of the metrics.

    Raises UsageError: it is malformed, or its row, model or metric is not part of the benchmark.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--fail-below {text!r} is no condition; {HELP}")
    metric = match["metric"] or "psnr"
    if metrics.get(metric).name not in measured:
        raise UsageError(f"--fail-below {text!r}: {metric} is not measured; add it to --metrics")
    who = [match["who"]] if match["who"] else [n for n, kind in kinds.items() if kind == "model"]
    if not who or not all(name in kinds for name in who):
        raise UsageError(
            f"--fail-below {text!r}: no such model in this run; it has {', '.join(kinds)}"
        )
    label = _label(text, match["row"].strip(), labels)
    return Condition(text, label, tuple(who), metric, match["sign"], float(match["bound"]))


def _label(text: str, row: str, labels: Mapping[str, Sequence[str]]) -> str:
    """The one row meant: the noise's kind may be cut short (gauss25) where that is no other's."""
    data, _, wanted = row.partition("/")
    known = labels.get(data, ())
    if not wanted and len(known) == 1:
        return f"{data}/{known[0]}"
    kind, level = re.fullmatch(r"(.*?)([\d.]*)", wanted).groups()  # type: ignore[union-attr]
    near = [n for n in known if re.fullmatch(rf"{re.escape(kind)}[a-z-]*{re.escape(level)}", n)]
    found = [wanted] if wanted in known else near
    if kind and len(found) == 1:
        return f"{data}/{found[0]}"
    rows = [f"{name}/{label}" for name, each in labels.items() for label in each]
    shown = ", ".join(rows[:6]) + (" ..." if len(rows) > 6 else "")
    problem = f"{row} means several rows" if len(found) > 1 else f"no row {row} in this run"
    raise UsageError(f"--fail-below {text!r}: {problem}; it has {shown}")


def broken(conditions: Iterable[Condition], rows: Iterable[Row]) -> list[str]:
    """A line for each condition that a row does not meet, naming row and figure."""
    by_name = {(row.label, row.method): row for row in rows}
    lines = []
    for each in conditions:
        for who in each.who:
            row = by_name.get((each.label, who))  # none where it takes no such pictures
            stat = None if row is None else row.stat(each.metric)
            if stat is None:
                lines.append(f"{each.label}: {who} has no {each.metric}: {each.text}")
            elif not each.holds(stat.mean):
                figure = f"{each.metric} {stat.mean:.{metrics.get(each.metric).digits}f}"
                lines.append(f"{each.label}: {who} has {figure}, wanted {each.sign} {each.bound:g}")
    return lines
