"""`mdn bench`: models and classical methods, measured on the same noisy files with one harness."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdn import metrics, plots
from mdn.bench import figures, noise_cases, sheets, tables
from mdn.bench.data import DataSet, default_root, open_sets
from mdn.bench.methods import Methods, resolve
from mdn.bench.runner import BenchListener, Rules, Runner
from mdn.bench.scores import Cache, Loss, Row, loss_counts, losses_of
from mdn.errors import UsageError
from mdn.io.atomic import write_bytes

PLOTS = "plots"  # the folder of plots in that of results
LISTED = 10  # pictures that --worst shows
LINEAR = "renders, denoised as mdn denoise does, by classical baselines behind a gamma of 2.2"


@dataclass(frozen=True)
class BenchRequest:
    """The options of `mdn bench`, by their names.

    Of `root`, `out`, `limit` and `fail_below` None is none; of `noise` see
    noise_cases.parse. `command` is the command line, for the page of results.
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
    fail_below: float | None = None  # the least that a model may have of the first metric
    worst: bool = False
    plots: bool = False
    device: str = "auto"
    precision: str = "auto"
    command: str = "mdn bench"


@dataclass(frozen=True)
class BenchResult:
    """What came of it."""

    rows: tuple[Row, ...]  # the table
    metrics: tuple[metrics.Metric, ...]  # its figures
    failures: tuple[str, ...]  # what was skipped, one line each
    broken: tuple[str, ...]  # rows below `fail_below`, one line each
    worst: tuple[Loss, ...]  # pictures that lose most, the worst first; with `worst` only
    sheets: tuple[sheets.Sheet, ...]  # contact sheets; with `plots` only
    absent: tuple[str, ...]  # methods that the command names and that are not installed
    document: dict[str, Any]  # everything, JSON-able
    markdown: str  # the same for people

    @property
    def exit_code(self) -> int:
        """4 nothing was measured, or not a method that was named; 7 a row is below the limit; 3
        something was skipped.
        """
        if self.absent or not any(row.scores for row in self.rows):
            return 4
        return 7 if self.broken else 3 if self.failures else 0


def run(request: BenchRequest, listener: BenchListener) -> BenchResult:
    """Measure every method on every picture under every noise.

    Raises:
        UsageError: an unknown noise, metric, protocol, baseline or data set; plots that
            cannot be drawn; a limit for a metric of which less is better.
        ModelError: an unknown or damaged model.
        FileError: the folder of results cannot be written.
    """
    chosen_metrics = [metrics.get(name) for name in dict.fromkeys(request.metrics)]
    rules = _rules(request, chosen_metrics)
    shown = tuple(metrics.get(name) for name in rules.metrics)
    _check(request, shown[0])
    cases = noise_cases.parse(request.noise)
    sets = open_sets(request.data, request.root or default_root(), request.limit)
    plan = {data.name: noise_cases.plan(data, cases) for data in sets}
    methods = resolve(request.models, request.device, request.precision, request.seed)
    runner = Runner(methods.available, rules, Cache(request.out), listener)
    notes = _notes(request, chosen_metrics, sets, methods)
    total = sum(
        len(noise_cases.pictures(data, case)) * len(runner.applicable(data))
        for data in sets
        for case in plan[data.name]
    )
    listener.begin(total, shown[0])
    for line in notes:
        listener.note(line)
    for data in sets:
        for line in data.failures:
            runner.fail(line)
        for case in plan[data.name]:
            runner.measure(data, case)
    rows = tuple(runner.rows)
    contact_sheets = tuple(sheets.make(runner, sets)) if request.plots else ()
    document = tables.facts(request.command, runner, methods.missing, sets, plan, notes)
    document["rows"] = tables.row_table(rows, rules.metrics)
    worst: tuple[Loss, ...] = ()
    if request.worst:
        losses = losses_of(rows, shown[0])
        worst = tuple(losses[:LISTED])
        document["worst"] = tables.loss_table(worst)
        document["worse_than_input"] = loss_counts(losses, shown[0])
    markdown = tables.markdown(document, rows, shown, worst)
    if request.out is not None:
        tables.write(request.out, document, markdown, tables.picture_table(rows, rules.metrics))
        if request.plots:
            folder = request.out / PLOTS
            folder.mkdir(parents=True, exist_ok=True)
            for name, png in figures.draw_all(document, contact_sheets).items():
                write_bytes(folder / f"{name}.png", png)
    broken = _broken(rows, shown[0], request.fail_below)
    failures = tuple(runner.failures)
    absent = tuple(name for name in methods.missing if name in request.models)
    return BenchResult(
        rows, shown, failures, broken, worst, contact_sheets, absent, document, markdown
    )


def _rules(request: BenchRequest, chosen_metrics: Sequence[metrics.Metric]) -> Rules:
    names = tuple(metric.name for metric in chosen_metrics if not metric.missing())
    if not names:
        raise UsageError(f"--metrics: {'; '.join(metric.missing() for metric in chosen_metrics)}")
    protocol = metrics.PROTOCOLS.get(request.protocol)
    if protocol is None:
        choices = ", ".join(metrics.PROTOCOLS)
        raise UsageError(f"unknown protocol {request.protocol!r}; choose one of {choices}")
    return Rules(names, protocol, request.unclipped, request.seed)


def _check(request: BenchRequest, metric: metrics.Metric) -> None:
    """Refuses what could not be done, before an hour of work and not after it."""
    if request.plots and request.out is None:
        raise UsageError("--plots needs a folder: -o DIR")
    if request.plots and plots.missing():
        raise UsageError(f"--{plots.missing()}")
    if request.fail_below is not None and metric.lower:
        raise UsageError(f"--fail-below: less {metric.name} is better; begin --metrics with psnr")


def _notes(
    request: BenchRequest,
    chosen_metrics: Sequence[metrics.Metric],
    sets: Sequence[DataSet],
    methods: Methods,
) -> list[str]:
    """What a reader of the table must know, one line each."""
    notes = [f"{name}: {problem}" for name, problem in methods.missing.items()]
    notes += filter(None, [metric.missing() for metric in chosen_metrics])
    linear = ", ".join(metric.name for metric in chosen_metrics if metric.linear)
    renders_only = [method.name for method in methods.available if method.renders_only]
    for data in sets:
        if data.pairs:
            what = LINEAR if data.renders else "pairs with real noise"
            unused = "--noise and --unclipped do" if request.unclipped else "--noise does"
            notes.append(f"{data.name}: {what}; {unused} not apply")
        if data.renders:
            continue
        nothing = f"{data.name}: no renders, so nothing for"
        if linear:
            notes.append(f"{nothing} {linear} to compare")
        notes += [f"{nothing} {name} to do" for name in renders_only]
    return notes


def _broken(rows: Sequence[Row], metric: metrics.Metric, least: float | None) -> tuple[str, ...]:
    """A line for each row of a model whose mean is below the least."""
    lines = []
    for row in (row for row in rows if row.kind == "model"):
        stat = row.stat(metric.name)
        if least is not None and stat is not None and stat.mean < least:
            value = f"{stat.mean:.{metric.digits}f}"
            lines.append(f"{row.label}: {row.method} has {metric.name} {value}, below {least:g}")
    return tuple(lines)
