"""The log of a run: a CSV file that a resumed run continues without a seam."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

FIRST = ["step", "seconds", "loss", "pace"]


class Log:
    """Rows of step, seconds, mean loss since the last row, share of the peak rate, and scores."""

    def __init__(self, path: Path, scores: list[str], writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.columns = FIRST + scores

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: those steps are about to be taken again."""
        if not self.writes or not self.path.exists():
            return
        with self.path.open(newline="") as stream:
            rows = [row for row in csv.DictReader(stream) if int(row["step"]) <= step]
        self.path.unlink()
        for row in rows:
            self.write(row)

    def write(self, row: dict[str, Any]) -> None:
        """Append one row; columns it lacks stay empty."""
        if not self.writes:
            return
        new = not self.path.exists()
        with self.path.open("a", newline="") as stream:
            writer = csv.DictWriter(stream, self.columns, extrasaction="ignore")
            if new:
                writer.writeheader()
            writer.writerow(row)
