"""`mdn bench`: models and classical methods, measured on the same noisy files with one harness."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mdn import metrics, plots
from mdn.batch.dask_run import spread
from mdn.bench import losses, noise_cases, thresholds
from mdn.bench.cache import Cache
from mdn.bench.data import DataSet, default_root, open_sets
from mdn.bench.methods import Methods, resolve
from mdn.bench.report import publish, sheets, tables
from mdn.bench.rows import Row
from mdn.bench.runner import Report, Runner
from mdn.bench.scoring import Rules, Scorer, on_worker
from mdn.errors import UsageError

LINEAR = "renders, denoised as mdn denoise does, by classical baselines behind a gamma of 2.2"


@dataclass(frozen=True)
class Settings:
    """What `mdn bench` was asked for: its options, by their names.

    `page` is --report. Of `root`, `out`, `limit` and `dask` None is none; of `noise` see
    noise_cases.parse, of `fail_below` thresholds. `command` is the command line, for the report.
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
    dask: str | None = None
    command: str = "mdn bench"


@dataclass(frozen=True)
class Result:
    """What came of it."""

    rows: tuple[Row, ...]  # the table
    metrics: tuple[metrics.Metric, ...]  # its figures
    failures: tuple[str, ...]  # what was skipped, one line each
    broken: tuple[str, ...]  # conditions that do not hold, one line each
    worst: tuple[losses.Loss, ...]  # pictures that lose most, the worst first; none unless asked
    document: dict[str, Any]  # everything, JSON-able
    markdown: str  # the same for people

    @property
    def exit_code(self) -> int:
        """4 nothing could be measured, 7 a condition does not hold, 3 something was skipped."""
        if not any(row.scores for row in self.rows):
            return 4
        return 7 if self.broken else 3 if self.failures else 0


def run(settings: Settings, report: Report) -> Result:
    """Measure every method on every picture under every noise.

    Raises:
        UsageError: an unknown noise, metric, protocol, baseline, data set or cluster, or a
            condition on nothing.
        ClusterError: the scheduler is gone.
        ModelError: an unknown or damaged model.
        FileError: the folder of results cannot be written.
    """
    rules = _rules(settings)
    publish.check(settings.page, settings.plots, settings.out)
    wanted = noise_cases.parse(settings.noise)
    sets = open_sets(settings.data, settings.root or default_root(), settings.limit, report.note)
    plan = {data.name: noise_cases.plan(data, wanted) for data in sets}
    methods = resolve(settings.models, settings.device, settings.precision, settings.seed)
    labels = {name: [case.label for case in cases] for name, cases in plan.items()}
    kinds = {each.name: each.kind for each in methods.found}
    conditions = [
        thresholds.parse(text, labels, kinds, rules.metrics) for text in settings.fail_below
    ]
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
    drawn = sheets.make(runner, sets, settings.out) if settings.plots or settings.page else []
    facts = tables.facts(settings.command, runner, methods.missing, sets, plan, notes)
    document = facts | {
        "rows": tables.row_table(runner.rows, rules.metrics),
        "sheets": [sheet.slug for sheet in drawn],
    }
    worst: tuple[losses.Loss, ...] = ()
    if settings.worst:
        every = losses.find(runner.rows, shown[0])
        worst, summary = tuple(every[: losses.LISTED]), losses.summary(every, shown[0])
        document |= {"worst": losses.table(worst), "worse_than_input": summary}
    markdown = tables.markdown(document, runner.rows, shown, worst)
    if settings.out is not None:
        each = tables.picture_table(runner.rows, rules.metrics)
        tables.write(settings.out, document, markdown, each)
    publish.publish(document, drawn, settings.page, settings.out if settings.plots else None)
    broken = tuple(thresholds.broken(conditions, runner.rows))
    failures = tuple(runner.failures)
    return Result(tuple(runner.rows), shown, failures, broken, worst, document, markdown)


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
    if settings.page is not None and plots.missing():
        notes.append(plots.missing())
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
