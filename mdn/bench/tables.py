"""A benchmark's results as CSV, JSON and Markdown, with all that is needed to repeat it."""

import csv
import hashlib
import io as text_io
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy
import torch

import mdn
from mdn.bench.data import DataSet
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.runner import Runner
from mdn.bench.scores import Loss, Row
from mdn.io.atomic import write_bytes
from mdn.metrics import Metric


def facts(
    command: str,
    runner: Runner,
    missing: Mapping[str, str],
    sets: Sequence[DataSet],
    plan: Mapping[str, Sequence[NoiseCase]],
    notes: Sequence[str],
) -> dict[str, Any]:
    """All but the rows: what was measured, with what, and what was not; JSON-able."""
    rules = runner.rules
    rounded = "8-bit, clipped and rounded" if rules.protocol.rounded else "float, clipped"
    return {
        "command": command,
        "versions": {
            "mdn": mdn.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": numpy.__version__,
        },
        "protocol": rules.protocol.name,
        "noisy_input": "float, neither clipped nor rounded" if rules.unclipped else rounded,
        "seed": rules.seed,
        "threads": torch.get_num_threads(),
        "metrics": list(rules.metrics),
        "methods": [method.describe() for method in runner.methods],
        "not_measured": dict(missing),
        "data": [_about(data, plan[data.name], runner) for data in sets],
        "notes": list(notes),
        "failures": list(runner.failures),
    }


def _about(data: DataSet, plan: Sequence[NoiseCase], runner: Runner) -> dict[str, Any]:
    files = [path for image in data.pictures for path in (image.truth, image.noisy) if path]
    lines = sorted(f"{path.name} {runner.digests.get(path, '')}" for path in files)
    return {
        "name": data.name,
        "pictures": len({image.truth for image in data.pictures}),
        "pairs": data.pairs,
        "renders": data.renders,
        "noise": [case.label for case in plan],
        "sha256": hashlib.sha256("\n".join(lines).encode()).hexdigest(),
    }


def row_table(rows: Sequence[Row], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """One flat table a row, for JSON and CSV. A figure that is infinite or absent is None."""
    table = []
    for row in rows:
        entry: dict[str, Any] = {
            "data": row.data,
            "noise": row.noise,
            "method": row.method,
            "kind": row.kind,
            "pictures": len(row.scores),
        }
        for name in metrics:
            stat = row.stat(name)
            entry[name] = _number(stat.mean if stat else None, 6)
            entry[f"{name}_std"] = _number(stat.spread if stat else None, 6)
            entry[f"{name}_pictures"] = stat.count if stat else 0
        entry["us_per_pixel"] = _number(row.microseconds, 4)
        entry["peak_mib"] = _number(row.peak and row.peak / 2**20, 1)
        entry["reused"] = row.reused
        table.append(entry)
    return table


def _number(value: float | None, digits: int) -> float | None:
    """Rounded; JSON knows no infinity."""
    return None if value is None or not math.isfinite(value) else round(value, digits)


def cells(row: Row, metrics: Sequence[Metric]) -> list[str]:
    """A row as people read it, beginning at its method."""
    shown = [row.method, str(len(row.scores))]
    for metric in metrics:
        stat = row.stat(metric.name)
        text = "" if stat is None else f"{stat.mean:.{metric.digits}f}"
        if stat is not None and stat.spread is not None:
            text += f" ± {stat.spread:.{metric.digits}f}"
        if stat is not None and stat.count < len(row.scores):
            text += f" ({stat.count})"
        shown.append(text)
    shown.append("" if row.microseconds is None else f"{row.microseconds:.3g}")
    shown.append("" if row.peak is None else f"{row.peak / 2**20:.0f}")
    return shown


def header(metrics: Sequence[Metric]) -> list[str]:
    """Titles of `cells`."""
    return ["model", "pictures", *(metric.title for metric in metrics), "µs/pixel", "peak MiB"]


LOSS_TITLES = ("data/noise", "picture", "model", "before", "after", "gain")


def loss_cells(loss: Loss, metric: Metric) -> list[str]:
    """A loss as people read it, in the order of LOSS_TITLES."""
    figures = [
        f"{value:.{metric.digits}f}" if math.isfinite(value) else "equal"
        for value in (loss.before, loss.after)
    ]
    picture = loss.picture.rpartition("/")[2]
    gain = f"{loss.gain:+.{metric.digits}f}"
    return [f"{loss.data}/{loss.noise}", picture, loss.method, *figures, gain]


def loss_table(losses: Sequence[Loss]) -> list[dict[str, Any]]:
    """The same for JSON, which knows no infinity: equal to the truth is None."""
    return [
        {key: None if value == math.inf else value for key, value in asdict(loss).items()}
        for loss in losses
    ]


def markdown(
    about: Mapping[str, Any],
    rows: Sequence[Row],
    metrics: Sequence[Metric],
    worst: Sequence[Loss] = (),
) -> str:
    """The page for people: how it was made, a table by data set, what was not measured, losses.

    about: the results document, see `facts`.
    """
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        "# Benchmark",
        "",
        f"- command: `{about['command']}`",
        f"- protocol: {about['protocol']}; noisy input: {about['noisy_input']}; "
        f"seed {about['seed']}; {about['threads']} threads",
        f"- versions: {versions}",
        "- figures: mean ± standard deviation over pictures; µs/pixel is the median picture's; "
        "peak MiB is the whole process's memory, on a GPU the memory allocated there",
        *(f"- {method['name']}: {_facts_of(method)}" for method in about["methods"]),
        *(
            f"- {data['name']}: {data['pictures']} pictures, {data['sha256'][:16]}"
            for data in about["data"]
        ),
    ]
    titles = ["noise", *header(metrics)]
    for data in about["data"]:
        mine = ([row.noise, *cells(row, metrics)] for row in rows if row.data == data["name"])
        lines += ["", f"## {data['name']}", "", *table(titles, mine, 2)]
    lines += bullets("Notes", about["notes"]) + bullets("Skipped", about["failures"])
    if "worse_than_input" in about:
        title = f"Pictures that lose most, {metrics[0].title}"
        losers = [loss_cells(loss, metrics[0]) for loss in worst]
        lines += bullets(title, about["worse_than_input"])
        lines += ["", *table(LOSS_TITLES, losers, 3)]
    return "\n".join(lines) + "\n"


def _facts_of(method: Mapping[str, Any]) -> str:
    """What a method is: its title, weights and the versions of its libraries."""
    facts = [method["title"]]
    if "sha256" in method:
        weights, how = method["sha256"][:16], f"{method['precision']} on {method['device']}"
        facts.append(f"weights {weights}, {how}")
    facts += [f"{name} {version}" for name, version in method.get("versions", {}).items()]
    return "; ".join(facts)


def bullets(title: str, lines: Iterable[str]) -> list[str]:
    """A section of Markdown with a list; nothing without lines."""
    items = [f"- {_plain(line)}" for line in lines]
    return ["", f"## {title}", "", *items] if items else []


def table(titles: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> list[str]:
    """Lines of a Markdown table, whose first `texts` columns hold text and the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(titles) - texts)
    lines = ([_plain(cell).replace("|", "\\|") for cell in row] for row in (titles, rule, *rows))
    return [f"| {' | '.join(line)} |" for line in lines]


def _plain(text: str) -> str:
    return " ".join(str(text).split())


def picture_table(rows: Sequence[Row], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """One flat table a picture, noise and method: what the means are of."""
    return [
        {"data": row.data, "noise": row.noise, "method": row.method, "picture": picture}
        | {name: _number(score.metrics.get(name), 6) for name in metrics}
        | {"seconds": _number(score.seconds, 4)}
        for row in rows
        for picture, score in row.scores.items()
    ]


def as_csv(table: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one kind as CSV, with a line of titles."""
    text = text_io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]) if table else ["data"])
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def write(
    folder: Path, document: Mapping[str, Any], page: str, pictures: Sequence[Mapping[str, Any]]
) -> None:
    """results.csv, results.json, results.md, and pictures.csv, the table of single pictures.

    Raises FileError where they cannot be written.
    """
    texts = {
        "results.csv": as_csv(document["rows"]),
        "pictures.csv": as_csv(pictures),
        "results.json": json.dumps(document, indent=2) + "\n",
        "results.md": page,
    }
    for name, text in texts.items():
        write_bytes(folder / name, text.encode())
