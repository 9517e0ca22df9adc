"""`mdn bench`: models and classical methods, measured on the same noisy files with one harness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdn import metrics, plots
from mdn.bench import losses, noise_cases, thresholds
from mdn.bench.cache import Cache
from mdn.bench.data import DataSet, default_root, open_sets
from mdn.bench.methods import Field, line_up
from mdn.bench.report import publish, sheets, tables
from mdn.bench.rows import Row
from mdn.bench.runner import Report, Rules, Runner
from mdn.errors import UsageError

LINEAR = "renders, denoised as mdn denoise does, by classical peers behind a gamma of 2.2"

__all__ = ["Report", "Result", "Row", "Settings", "run"]


@dataclass(frozen=True)
class Settings:
    """What `mdn bench` was asked for.

    Attributes:
        models: names of models, peer:NAME, or peer:all.
        data: folders, names of folders in `root`, or mitsuba: scenes rendered on the spot.
        noise: see noise_cases.parse. Pairs come with their own.
        protocol: a name in metrics.PROTOCOLS.
        metrics: names in metrics.METRICS.
        unclipped: contenders get float pictures whose noise is neither clipped nor rounded.
        limit: of pictures by data set, or None.
        seed: of the noise and of models that draw at random.
        root: where short names of data sets are looked up; MDN_TEST_DATA/test where None.
        out: the folder of results and of scores to reuse, or None.
        fail_below: conditions; see gate.
        worst: list the pictures that lose most against their noisy input.
        plots: draw figures and contact sheets into out/plots.
        page: the HTML report to write, or None.
        device, precision: as for every command.
        command: the command line, for the report.
    """

    models: tuple[str, ...]
    data: tuple[str, ...]
    noise: str = "suite"
    protocol: str = "paper"
    metrics: tuple[str, ...] = ("psnr", "ssim")
    unclipped: bool = False
    limit: int | None = None
    seed: int = 0
    root: Path | None = None
    out: Path | None = None
    fail_below: tuple[str, ...] = ()
    worst: bool = False
    plots: bool = False
    page: Path | None = None
    device: str = "auto"
    precision: str = "auto"
    command: str = "mdn bench"


@dataclass(frozen=True)
class Result:
    """What came of it.

    Attributes:
        rows: the table. metrics: its figures.
        failures: what was skipped, one line each.
        broken: conditions that do not hold, one line each.
        worst: the pictures that lose most, the worst first; none unless asked for.
        document: everything, JSON-able. markdown: the same for people.
    """

    rows: tuple[Row, ...]
    metrics: tuple[metrics.Metric, ...]
    failures: tuple[str, ...]
    broken: tuple[str, ...]
    worst: tuple[losses.Loss, ...]
    document: dict[str, Any]
    markdown: str

    @property
    def exit_code(self) -> int:
        """4 nothing could be measured, 7 a condition does not hold, 3 something was skipped."""
        if not any(row.scores for row in self.rows):
            return 4
        return 7 if self.broken else 3 if self.failures else 0


def run(settings: Settings, listener: Report) -> Result:
    """Measure every contender on every picture under every noise.

    Raises:
        UsageError: an unknown noise, metric, protocol, peer or data set, or a condition on nothing.
        ModelError: an unknown or damaged model.
        FileError: the folder of results cannot be written.
    """
    rules = _rules(settings)
    publish.check(settings.page, settings.plots, settings.out)
    wanted = noise_cases.parse(settings.noise)
    root = settings.root or default_root()
    sets = open_sets(settings.data, root, settings.limit, listener.note)
    plan = {data.name: noise_cases.plan(data, wanted) for data in sets}
    field = line_up(settings.models, settings.device, settings.precision, settings.seed)
    conditions = _conditions(settings, plan, field, rules)
    runner = Runner(field.contenders, rules, Cache(settings.out), listener)
    notes = _notes(settings, sets, field)
    total = sum(
        len(noise_cases.pictures(data, draw)) * len(runner.taking(data))
        for data in sets
        for draw in plan[data.name]
    )
    listener.begin(total, metrics.get(rules.metrics[0]))
    for line in notes:
        listener.note(line)
    for data in sets:
        for line in data.failures:
            runner.fail(line)
        for draw in plan[data.name]:
            runner.measure(data, draw)
    drawn = _drawn(settings, runner, sets)
    facts = tables.facts(settings.command, runner, field, sets, plan, notes)
    document = facts | {
        "rows": tables.row_table(runner.rows, rules.metrics),
        "sheets": [sheet.slug for sheet in drawn],
    }
    shown = tuple(metrics.get(name) for name in rules.metrics)
    markdown = tables.markdown(facts, runner.rows, shown)
    worst: tuple[losses.Loss, ...] = ()
    if settings.worst:
        every = losses.find(runner.rows, shown[0])
        worst = tuple(every[: losses.LISTED])
        told = losses.summary(every, shown[0])
        document |= {"worst": losses.table(worst), "worse_than_input": told}
        markdown += tables.worst(worst, shown[0], told)
    if settings.out is not None:
        each = tables.picture_table(runner.rows, rules.metrics)
        tables.write(settings.out, document, markdown, each)
    publish.publish(document, drawn, settings.page, settings.out if settings.plots else None)
    broken = tuple(thresholds.broken(conditions, runner.rows))
    failures = tuple(runner.failures)
    return Result(tuple(runner.rows), shown, failures, broken, worst, document, markdown)


def _drawn(settings: Settings, runner: Runner, sets: tuple[DataSet, ...]) -> list[sheets.Sheet]:
    """The contact sheets, where anything shows them."""
    if not settings.plots and settings.page is None:
        return []
    return sheets.make(runner, sets, settings.out)


def _rules(settings: Settings) -> Rules:
    wanted = [metrics.get(name) for name in dict.fromkeys(settings.metrics)]
    names = tuple(metric.name for metric in wanted if not metric.missing())
    if not names:
        raise UsageError(f"--metrics: {'; '.join(metric.missing() for metric in wanted)}")
    protocol = metrics.PROTOCOLS.get(settings.protocol)
    if protocol is None:
        known = ", ".join(metrics.PROTOCOLS)
        raise UsageError(f"unknown protocol {settings.protocol!r}; choose one of {known}")
    return Rules(names, protocol, settings.unclipped, settings.seed)


def _conditions(
    settings: Settings, plan: dict[str, tuple[noise_cases.Draw, ...]], field: Field, rules: Rules
) -> list[thresholds.Condition]:
    labels = {name: [draw.label for draw in each] for name, each in plan.items()}
    kinds = {each.name: each.kind for each in field.contenders}
    return [thresholds.parse(text, labels, kinds, rules.metrics) for text in settings.fail_below]


def _notes(settings: Settings, sets: tuple[DataSet, ...], field: Field) -> list[str]:
    """What a reader of the table must know, one line each."""
    notes = [f"{name}: {problem}" for name, problem in field.missing.items()]
    absent = (metrics.get(name).missing() for name in dict.fromkeys(settings.metrics))
    notes += [line for line in absent if line]
    if settings.page is not None and plots.missing():
        notes.append(plots.missing())
    linear = ", ".join(name for name in settings.metrics if metrics.get(name).linear)
    for data in sets:
        if data.pairs:
            what = LINEAR if data.renders else "pairs with real noise"
            unused = "--noise and --unclipped do" if settings.unclipped else "--noise does"
            notes.append(f"{data.name}: {what}; {unused} not apply")
        if linear and not data.renders:
            notes.append(f"{data.name}: no renders, so nothing for {linear} to compare")
        for each in field.contenders:
            if each.renders_only and not data.renders:
                notes.append(f"{data.name}: no renders, so nothing for {each.name} to do")
    return notes
