"""The manifest of a batch, which --resume reads: JSON lines beside the outputs.

A line is appended when a file is begun and another when it is over. The output is renamed into
place before the second line is written: what is half done is never taken for done.
Runs may share a folder, and with it a manifest: a lock is held while a line is written, no longer.
"""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mdn.errors import FileError
from mdn.jobs.job import Job, Outcome, Report

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

NAME, SUFFIX = "mdn-manifest", ".jsonl"
DONE = "done already"
Hashes = Mapping[str, str]  # SHA-256 of the weights of each model, by its name


class Content(NamedTuple):
    """What a file holds, or all files of a folder, such as a Zarr: bytes, time of change, hash."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Content":
        """A file as it is now. Raises OSError: it cannot be read."""
        return cls(*stamp(path), digest(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is still so; its content is read only where its time differs."""
        with contextlib.suppress(OSError):
            size, time_ns = stamp(path)
            return size == self.size and (time_ns == self.mtime_ns or digest(path) == self.sha256)
        return False


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; of a folder: sum and maximum. Raises OSError."""
    files = [file.stat() for file in _files(path)]
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files. Raises OSError."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    lines = (f"{file.relative_to(path).as_posix()}\0{digest(file)}\n" for file in _files(path))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _files(path: Path) -> list[Path]:
    return sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]


@dataclass(frozen=True)
class Entry:
    """One line: an input, what was asked for, and what came of it. See CONTENTS for its JSON."""

    output: str  # the file written, relative to the manifest's folder where it lies below it
    status: Literal["started", "ok", "failed"]
    input: str | None = None  # absolute path of the file read
    read: Content | None = None  # the input, before it was read
    settings: str = ""  # hash of the options that change the result
    model: str = ""
    weights: str = ""  # SHA-256 of those of the model
    written: Content | None = None  # the output
    std_output: str | None = None  # a second file written, spelled as `output`
    std_written: Content | None = None
    reason: str = ""  # why it failed
    seconds: float = 0.0  # how long it took
    at: float = 0.0  # when the line was written, in seconds since 1970


# Each is three keys of the JSON, with this before their names: output_size, output_sha256 ...
CONTENTS = {"read": "", "written": "output_", "std_written": "std_output_"}


def to_line(entry: Entry) -> bytes:
    """A line of ASCII without empty values; odd names survive as lone surrogates."""
    record = {key: value for key, value in vars(entry).items() if value and key not in CONTENTS}
    for name, prefix in CONTENTS.items():
        content = getattr(entry, name)
        record |= {f"{prefix}{k}": v for k, v in content._asdict().items()} if content else {}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Entry | None:
    """The entry of a line; None of others, such as the last one of a process that was killed."""
    try:
        record = json.loads(line)
        values: dict[str, Any] = {k: record[k] for k in Entry.__dataclass_fields__ if k in record}
        for name, prefix in CONTENTS.items():
            if record.get(f"{prefix}sha256"):
                values[name] = Content(*(record[f"{prefix}{key}"] for key in Content._fields))
        return Entry(**values)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True)
class Manifest:
    """Lines about a folder of outputs, by output: the latest, and the latest that is ok."""

    folder: Path
    last: Mapping[str, Entry]
    good: Mapping[str, Entry]


def read(folder: Path) -> Manifest:
    """All manifests of a folder, those of its shards too; empty where is none. Raises OSError."""
    entries: list[Entry] = []
    for path in sorted(folder.glob(f"{NAME}*{SUFFIX}")):
        entries += filter(None, map(from_line, path.read_bytes().splitlines()))
    entries.sort(key=lambda entry: entry.at)
    good = {entry.output: entry for entry in entries if entry.status == "ok"}
    return Manifest(folder, {entry.output: entry for entry in entries}, good)


def path_for(folder: Path, shard: str = "") -> Path:
    """The manifest of a folder, or that of one shard: "3/16". Machines may not share locks."""
    return folder / f"{NAME}{'.' if shard else ''}{shard.replace('/', '-of-')}{SUFFIX}"


def place_in(folder: Path, path: Path) -> str:
    """How a manifest in `folder` calls `path`: relative where it lies below it, else absolute."""
    full, root = absolute(path), absolute(folder)
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()


def absolute(path: Path) -> Path:
    """The path from the root, without `..`; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def settings_hash(command: str, arguments: Iterable[str]) -> str:
    """What stands for a command with its options: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps([command, *arguments]).encode()).hexdigest()[:16]


class Recording(contextlib.AbstractContextManager["Recording"]):
    """A report that appends to a manifest, and hands everything on to another report.

    The folder of `path` is made where it is missing. Raises FileError: it cannot be written.
    """

    def __init__(self, report: Report, path: Path, settings: str, models: Hashes) -> None:
        self._report, self._folder = report, path.parent
        self._settings, self._models = settings, models
        self._begun: dict[int, Entry] = {}
        self._one_line = threading.Lock()  # files that overlap write theirs from threads
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = open(path, "a+b", buffering=0)  # noqa: SIM115
        except OSError as problem:
            raise FileError(path, _reason(problem), "write elsewhere with -o") from None

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def started(self, job: Job, index: int, total: int) -> None:
        if job.target is not None and not job.skip and job.problem is None:
            second = None if job.std_target is None else place_in(self._folder, job.std_target)
            output = place_in(self._folder, job.target)
            entry = Entry(output, "started", settings=self._settings, std_output=second)
            if job.source is not None:
                entry = replace(entry, input=str(absolute(job.source)))
                with contextlib.suppress(OSError):  # it fails in its turn, with the right words
                    entry = replace(entry, read=Content.of(job.source))
            self._begun[id(job)] = entry
            with self._told_if_missing(job):
                self._append(entry)
        self._report.started(job, index, total)

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        self._report.progress(job, fraction, status)

    def note(self, job: Job, line: str) -> None:
        self._report.note(job, line)

    def finished(self, outcome: Outcome) -> None:
        job, model = outcome.job, str(outcome.details.get("model") or "")
        entry = self._begun.pop(id(job), None)
        if entry is not None and outcome.status in ("ok", "failed"):
            values: dict[str, Any] = {"reason": outcome.error}
            with self._told_if_missing(job):
                if outcome.status == "ok":  # OSError: the result is not there any more
                    values = {"model": model, "weights": self._models.get(model, "")}
                    outputs = {"written": job.target, "std_written": job.std_target}
                    values |= {key: Content.of(path) for key, path in outputs.items() if path}
                values |= {"status": outcome.status, "seconds": round(outcome.seconds, 3)}
                self._append(replace(entry, **values))
        self._report.finished(outcome)

    def _append(self, entry: Entry) -> None:
        """Raises OSError: the line could not be written; the next begins anew all the same."""
        line = to_line(replace(entry, at=round(time.time(), 3)))
        with self._one_line:
            self._lock("LOCK_EX")
            try:
                if end := self._stream.seek(0, os.SEEK_END):
                    self._stream.seek(end - 1)  # where a process was killed, half a line ends
                    line = line if self._stream.read(1) == b"\n" else b"\n" + line
                self._stream.write(line)
            finally:
                self._lock("LOCK_UN")

    def _lock(self, operation: str) -> None:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(self._stream, getattr(fcntl, operation))

    @contextlib.contextmanager
    def _told_if_missing(self, job: Job) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            self.note(job, f"not in the manifest ({_reason(problem)}): --resume will do it again")


def _reason(problem: OSError) -> str:
    return (problem.strerror or "cannot be written").lower()


def resumed(job: Job, manifest: Manifest, settings: str, models: Hashes) -> Job:
    """The job; if it is done it is marked as skipped, else with why it is due.

    Done: with these settings (a hash), weights and input, the output still there. An output, a
    second one too, is replaced only if mdn wrote it and nobody has changed it since.
    """
    if job.target is None or job.skip or job.problem is not None:
        return job
    output = place_in(manifest.folder, job.target)
    last, good = manifest.last.get(output), manifest.good.get(output)
    begun = last is not None and last.status == "started"  # killed, perhaps after the rename
    if foreign := _foreign(job.target, good.written if good else None, begun):
        return replace(job, problem=foreign)
    if not (due := _due(job, last, good, settings, models)):
        return replace(job, skip=DONE)
    if job.std_target is not None:
        second = place_in(manifest.folder, job.std_target)
        own = good.std_written if good and good.std_output == second else None
        begun = begun and last is not None and last.std_output == second
        if foreign := _foreign(job.std_target, own, begun):
            return replace(job, problem=foreign)
    return replace(job, due=due)


def _foreign(path: Path, written: Content | None, begun: bool) -> FileError | None:
    """What is wrong with replacing an output; None where it is not there, or is mdn's own."""
    if not os.path.lexists(path) or begun or (written and written.holds(path)):
        return None
    why = "it was changed after mdn wrote it" if written else "no run recorded it"
    return FileError(path, f"exists already, and {why}", "move it away to have it made anew")


def _due(job: Job, last: Entry | None, good: Entry | None, settings: str, models: Hashes) -> str:
    """Why a job is to be done, in a few words; empty where it is done."""
    if good is None:
        return f"failed: {last.reason}" if last and last.status == "failed" else "not done yet"
    if not all(os.path.lexists(path) for path in (job.target, job.std_target) if path):
        return "the result is gone"
    if job.target and good.written and not good.written.holds(job.target):
        return "begun and not finished"
    if good.settings != settings or models.get(good.model, "") != good.weights:
        return "done with other options or weights"
    return (
        "" if job.source and good.read and good.read.holds(job.source) else "the input has changed"
    )
