"""The log of a run: a CSV file that a resumed run continues without a seam."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mdn.errors import FileError
from mdn.io.atomic import write_bytes

LOG = "training.csv"
FIRST = ["step", "seconds", "loss", "lr_scale"]

Columns = dict[str, list[tuple[float, float]]]


def read(path: Path) -> Columns:
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
