"""The scores that an earlier run left in its folder, so that they need not be computed again."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mdn.errors import FileError

FILE = "scores.jsonl"


@dataclass(frozen=True)
class Score:
    """What one method did on one picture."""

    metrics: dict[str, float | None]  # by name; None where the picture is too small for the metric
    seconds: float
    pixels: int  # height times width
    peak: int  # bytes of memory; see scoring.Usage


def key_of(*parts: object) -> str:
    """What a score depends on, as one short text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Cache:
    """Scores by key, each also a line of a file as soon as it is known. Without a folder: none.

    A line that is not whole, as a killed run leaves it, counts as never written.

    Raises FileError: the folder cannot be made, or its file not be read or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / FILE
        self._scores: dict[str, Score] = {}
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                self._load(self._path.read_bytes())
            self._append("")  # known now that it can be written, not after the first hour
        except OSError as error:
            raise FileError(self._path, f"cannot be used: {error.strerror}") from error

    def _load(self, data: bytes) -> None:
        for line in data.splitlines():
            try:
                table = json.loads(line)
                key = table.pop("key")
                self._scores[key] = Score(**table)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        if data and not data.endswith(b"\n"):
            self._append("\n")

    def find(self, key: str, metrics: tuple[str, ...]) -> Score | None:
        """The score of that key, if it is there with all of these metrics."""
        score = self._scores.get(key)
        return score if score and score.metrics.keys() >= set(metrics) else None

    def add(self, key: str, score: Score) -> None:
        """Keeps a score, and what other metrics were known under its key."""
        if self._path is None:
            return
        if known := self._scores.get(key):
            score = replace(score, metrics=known.metrics | score.metrics)
        self._scores[key] = score
        try:
            self._append(json.dumps({"key": key} | asdict(score)) + "\n")
        except OSError as error:
            raise FileError(self._path, f"cannot be written: {error.strerror}") from error

    def _append(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(text)
