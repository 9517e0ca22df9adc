"""`mdn bench`: models and classical methods, measured on the same noisy files with one harness."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mdn import metrics, plots
from mdn.bench import figures, losses, noise_cases, sheets, tables
from mdn.bench.cache import Cache
from mdn.bench.data import DataSet, default_root, open_sets
from mdn.bench.methods import Methods, resolve
from mdn.bench.rows import Row
from mdn.bench.runner import Report, Runner
from mdn.bench.scoring import Rules, Scorer, on_worker
from mdn.errors import UsageError
from mdn.io.atomic import write_bytes
from mdn.jobs.dask_run import spread

PLOTS = "plots"  # the folder of plots in that of results
LINEAR = "renders, denoised as mdn denoise does, by classical baselines behind a gamma of 2.2"


@dataclass(frozen=True)
class Settings:
    """What `mdn bench` was asked for: its options, by their names.

    Of `root`, `out`, `limit`, `dask` and `fail_below` None is none; of `noise` see
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
    dask: str | None = None
    command: str = "mdn bench"


@dataclass(frozen=True)
class Result:
    """What came of it."""

    rows: tuple[Row, ...]  # the table
    metrics: tuple[metrics.Metric, ...]  # its figures
    failures: tuple[str, ...]  # what was skipped, one line each
    broken: tuple[str, ...]  # rows below `fail_below`, one line each
    worst: tuple[losses.Loss, ...]  # pictures that lose most, the worst first; with `worst` only
    sheets: tuple[sheets.Sheet, ...]  # contact sheets; with `plots` only
    document: dict[str, Any]  # everything, JSON-able
    markdown: str  # the same for people

    @property
    def exit_code(self) -> int:
        """4 nothing could be measured, 7 a row is below the limit, 3 something was skipped."""
        if not any(row.scores for row in self.rows):
            return 4
        return 7 if self.broken else 3 if self.failures else 0


def run(settings: Settings, report: Report) -> Result:
    """Measure every method on every picture under every noise.

    Raises:
        UsageError: an unknown noise, metric, protocol, baseline, data set or cluster; plots that
            cannot be drawn; a limit for a metric of which less is better.
        ClusterError: the scheduler is gone.
        ModelError: an unknown or damaged model.
        FileError: the folder of results cannot be written.
    """
    rules = _rules(settings)
    _check(settings, metrics.get(rules.metrics[0]))
    wanted = noise_cases.parse(settings.noise)
    sets = open_sets(settings.data, settings.root or default_root(), settings.limit)
    plan = {data.name: noise_cases.plan(data, wanted) for data in sets}
    methods = resolve(settings.models, settings.device, settings.precision, settings.seed)
    cache, scorer = Cache(settings.out), Scorer(methods.found, rules)
    prepare = partial(on_worker, settings.models, settings.device, settings.precision, rules)
    with spread(scorer, prepare, settings.dask) as answers:
        runner = Runner(scorer, cache, report, answers)
        notes = _notes(settings, sets, methods)
        shown = tuple(metrics.get(name) for name in rules.metrics)
        total = sum(
            len(noise_cases.pictures(data, case)) * len(runner.applicable(data))
            for data in sets
            for case in plan[data.name]
        )
        report.begin(total, shown[0])
        for line in notes:
            report.note(line)
        for data in sets:
            for line in data.failures:
                runner.fail(line)
            for case in plan[data.name]:
                runner.measure(data, case)
    drawn = tuple(sheets.make(runner, sets)) if settings.plots else ()
    facts = tables.facts(settings.command, runner, methods.missing, sets, plan, notes)
    document = facts | {"rows": tables.row_table(runner.rows, rules.metrics)}
    worst: tuple[losses.Loss, ...] = ()
    if settings.worst:
        every = losses.find(runner.rows, shown[0])
        worst, summary = tuple(every[: losses.LISTED]), losses.summary(every, shown[0])
        document |= {"worst": losses.table(worst), "worse_than_input": summary}
    markdown = tables.markdown(document, runner.rows, shown, worst)
    if settings.out is not None:
        each = tables.picture_table(runner.rows, rules.metrics)
        tables.write(settings.out, document, markdown, each)
        if settings.plots:
            _plot(document, drawn, settings.out / PLOTS)
    rows, failures = tuple(runner.rows), tuple(runner.failures)
    broken = _broken(rows, shown[0], settings.fail_below)
    return Result(rows, shown, failures, broken, worst, drawn, document, markdown)


def _check(settings: Settings, metric: metrics.Metric) -> None:
    """Refuses what could not be done, before an hour of work and not after it."""
    if settings.plots and settings.out is None:
        raise UsageError("--plots needs a folder: -o DIR")
    if settings.plots and plots.missing():
        raise UsageError(f"--{plots.missing()}")
    if settings.fail_below is not None and metric.lower:
        raise UsageError(f"--fail-below: less {metric.name} is better; begin --metrics with psnr")


def _plot(document: dict[str, Any], drawn: tuple[sheets.Sheet, ...], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in figures.drawn(document, drawn).items():
        write_bytes(folder / f"{name}.png", png)


def _broken(rows: tuple[Row, ...], metric: metrics.Metric, least: float | None) -> tuple[str, ...]:
    """A line for each row of a model whose mean is below the least."""
    if least is None:
        return ()
    lines = []
    for row in (row for row in rows if row.kind == "model"):
        stat = row.stat(metric.name)
        if stat is not None and stat.mean < least:
            value = f"{stat.mean:.{metric.digits}f}"
            lines.append(f"{row.label}: {row.method} has {metric.name} {value}, below {least:g}")
    return tuple(lines)


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


def _notes(settings: Settings, sets: tuple[DataSet, ...], methods: Methods) -> list[str]:
    """What a reader of the table must know, one line each."""
    wanted = [metrics.get(name) for name in dict.fromkeys(settings.metrics)]
    notes = [f"{name}: {problem}" for name, problem in methods.missing.items()]
    notes += filter(None, [metric.missing() for metric in wanted])
    linear = ", ".join(metric.name for metric in wanted if metric.linear)
    for data in sets:
        if data.pairs:
            what = LINEAR if data.renders else "pairs with real noise"
            unused = "--noise and --unclipped do" if settings.unclipped else "--noise does"
            notes.append(f"{data.name}: {what}; {unused} not apply")
        if data.renders:
            continue
        if linear:
            notes.append(f"{data.name}: no renders, so nothing for {linear} to compare")
        notes += [
            f"{data.name}: no renders, so nothing for {each.name} to do"
            for each in methods.found
            if each.renders_only
        ]
    return notes
