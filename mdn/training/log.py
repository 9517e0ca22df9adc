"""What a run leaves in its folder: checkpoint, card, log, and the log's curves.

The log is a CSV file that a resumed run continues without a seam.

Curves are a panel by noise, a line by run, as in figure 13 of Chen et al. (CVPR 2023): where one
run learns the training noise by heart and another learns pictures, only the panels of unseen noise
tell.
matplotlib is an extra; `plots.missing()` says so in one line.
"""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mdn import plots
from mdn.errors import FileError, UsageError
from mdn.io.atomic import replacing, write_bytes
from mdn.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHECKPOINT = "checkpoint.pt"
LOG = "training.csv"
FIRST = ["step", "seconds", "loss", "lr_scale"]

Columns = dict[str, list[tuple[float, float]]]


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Everything a run needs to go on: weights, average, optimisers, step, seconds, recipe.

    Raises FileError: it cannot be written; the former checkpoint stays.
    """
    path = folder / CHECKPOINT
    with replacing(path) as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:  # what torch makes of a full disk
            raise FileError(path, f"cannot be written: {error}") from error


def load_state(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a run, or None. Raises UsageError where it cannot be read."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives raise many kinds
        raise UsageError(
            f"{path}: not a readable checkpoint: {error}; remove it to begin anew"
        ) from error


def card_facts(recipe: Recipe, title: str, scores: dict[str, float]) -> dict[str, Any]:
    """What a recipe and the last validation say for the model's card.

    title: what was validated on. scores: by the names of the validation's rows.
    """
    ranges = [(row.kind, row.low, row.high) for row in recipe.noise]
    if recipe.rendered:
        noises = [f"path tracing, {low:g}-{high:g} spp" for _, low, high in ranges]
    else:
        noises = [f"{kind} {low:g}-{high:g}" for kind, low, high in ranges]
        parts = (
            ("masks {low:g}-{high:g} on {share:g} of the crops", recipe.mask),
            ("contrast times {low:g}-{high:g} on {share:g} of it", recipe.contrast),
            ("jpeg {low:g}-{high:g} on {share:g} of it", recipe.jpeg),
        )
        noises += [text.format(**vars(part)) for text, part in parts if part.share]
    rounded = {name: round(score, 2) for name, score in scores.items()}
    return {
        "name": recipe.name,
        "training_data": "crops of " + ", ".join(recipe.data.sources),
        "noise_seen": noises,
        "precisions": ["fp32", "bf16"],
        "domain": recipe.domain,
        "scores": {title: rounded} if rounded else {},
    } | recipe.about


def read_log(path: Path) -> Columns:
    """(step, value) of a training log by column; nothing where there is no log."""
    columns: Columns = {}
    try:
        for row in _rows(path):
            step = float(row["step"])
            for name, text in row.items():
                if name != "step" and text:
                    columns.setdefault(name, []).append((step, float(text)))
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return {}
    return columns


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """A log's rows; logs of release 0.1 called the rate's share of its peak the pace."""
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            yield {"lr_scale" if name == "pace" else name: text for name, text in row.items()}


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """A CSV file with all its rows, or as it was; values of no column are left out.

    Raises FileError: it cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


class Log:
    """Rows of step, seconds, mean loss since the last row, share of the peak rate, and scores."""

    def __init__(self, path: Path, scores: list[str], writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.columns = FIRST + scores

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: those steps are about to be taken again."""
        if not self.writes or not self.path.exists():
            return
        rows = [row for row in _rows(self.path) if int(row["step"]) <= step]
        write_table(self.path, self.columns, rows)

    def write(self, row: dict[str, Any]) -> None:
        """Append one row; columns it lacks stay empty."""
        if not self.writes:
            return
        new = not self.path.exists()
        try:
            with self.path.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, self.columns, extrasaction="ignore")
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:  # a full disk names no file
            reason = (error.strerror or type(error).__name__).lower()
            raise FileError(self.path, f"cannot be written ({reason})") from error


# --- its curves --------------------------------------------------------------------------------

PICTURE = "curves.png"
SUFFIXES = {".png": "Software", ".svg": "Creator", ".pdf": "Creator"}
MARK = "mdn training curves"  # a picture of ours may be replaced, another's may not
NOT_WATCHED = ("step", "seconds", "loss", "lr_scale")

Points = Sequence[tuple[float, float]]


def read_runs(folders: Sequence[Path]) -> dict[str, Columns]:
    """The logs of runs by the runs' names; by their paths where names repeat.

    Raises UsageError: a folder has no log, or an empty one.
    """
    runs: dict[str, Columns] = {}
    names = [folder.resolve().name for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        columns = read_log(folder / LOG)
        if not columns:
            raise UsageError(f"{folder}: no training run: it has no {LOG}, or nothing is in it yet")
        runs[name if names.count(name) == 1 else str(folder)] = columns
    return runs


def write_curves(target: Path, runs: Mapping[str, Columns]) -> None:
    """Draw runs into a .png, .svg or .pdf, whole or not at all.

    Raises:
        UsageError: matplotlib is missing, or another suffix.
        FileError: the file cannot be written, or is there and none of ours.
    """
    if plots.missing():
        raise UsageError(plots.missing())
    key = SUFFIXES.get(target.suffix.lower())
    if key is None:
        raise UsageError(f"{target}: name a picture that ends in {', '.join(SUFFIXES)}")
    try:
        foreign = target.exists() and MARK.encode() not in target.read_bytes()
    except OSError as error:
        raise FileError(target, f"cannot be read: {error.strerror}") from error
    if foreign:
        raise FileError(target, "is there already, and is no picture of curves", "name another")
    with plots.style(), replacing(target) as out:
        kind = target.suffix.lower()[1:]
        draw_curves(runs).savefig(
            out, format=kind, dpi=110, facecolor="white", metadata={key: MARK}
        )


def draw_curves(runs: Mapping[str, Columns]) -> Figure:
    """The loss, and a panel for each noise that any of the runs was validated on."""
    watched = list(
        dict.fromkeys(key for columns in runs.values() for key in columns if key not in NOT_WATCHED)
    )
    across = min(4, len(watched) + 1)
    down = math.ceil((len(watched) + 1) / across)
    figure = plots.make(2.9 * across + 0.4, 2.4 * down + 0.5)
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    _panel(axes[0], {name: _smooth(columns.get("loss", [])) for name, columns in runs.items()})
    axes[0].set(title="training loss", yscale="log")
    axes[0].yaxis.set_major_formatter("{x:.3g}")
    axes[0].yaxis.set_minor_formatter("{x:.3g}")
    for at, key in zip(axes[1:], watched, strict=False):
        _panel(at, {name: columns.get(key, []) for name, columns in runs.items()}, marker="o")
        at.set_title(" ".join(key.rsplit("-", 1)))
        at.set_ylabel("PSNR, dB")
    for at in axes[len(watched) + 1 :]:
        at.remove()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(4, len(labels)))
    return figure


def _panel(at: Axes, lines: Mapping[str, Points], marker: str = "") -> None:
    for index, (name, points) in enumerate(lines.items()):
        # A run without this row keeps its place, so that the colours stay the same.
        steps, values = zip(*points, strict=True) if points else ((), ())
        colour = plots.COLOURS[index % len(plots.COLOURS)]
        at.plot(steps, values, color=colour, marker=marker, markersize=3, label=name)
    at.set_xlabel("step")
    at.margins(x=0.03)


def _smooth(points: Points) -> list[tuple[float, float]]:
    """Means of fortieths of the run or finer, each over the step where it ends."""
    size = max(1, len(points) // 40)
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(group[-1][0], statistics.fmean(y for _, y in group)) for group in groups]
