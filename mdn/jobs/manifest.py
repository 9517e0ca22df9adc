"""The manifest of a batch, which --resume reads: JSON lines beside the outputs.

A line is appended when a file is begun and another when it is over, so that after a crash the
manifest says what is done, and what was begun and must be done again. The output is renamed into
place before the second line is written: what is half done is never taken for done.

Runs may share a folder, and with it a manifest: a lock is held while a line is written, no longer.
Where two runs write one file, that file is safe by itself (`io.atomic`).
"""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mdn.errors import FileError
from mdn.jobs.content import Content
from mdn.jobs.job import Job, Outcome, Report

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

NAME, SUFFIX = "mdn-manifest", ".jsonl"
DONE = "done already"


@dataclass(frozen=True)
class Entry:
    """One line: an input, what was asked for, and what came of it.

    As JSON, `read`, `written` and `std_written` are three keys each: size, mtime_ns and sha256,
    output_size ..., std_output_size ...
    """

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


CONTENTS = {"read": "", "written": "output_", "std_written": "std_output_"}  # prefixes of keys


def to_line(entry: Entry) -> bytes:
    """A line of ASCII without what is not known; odd names survive as lone surrogates."""
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
    """What is known of a folder of outputs."""

    folder: Path
    last: Mapping[str, Entry]  # the latest line of each output
    good: Mapping[str, Entry]  # the latest with the status ok


def read(folder: Path) -> Manifest:
    """All manifests of a folder, those of its shards included; empty where there is none.

    Raises OSError: a manifest cannot be read.
    """
    last: dict[str, Entry] = {}
    good: dict[str, Entry] = {}
    for path in sorted(folder.glob(f"{NAME}*{SUFFIX}")):
        with path.open("rb") as stream:
            for entry in filter(None, map(from_line, stream)):
                for table in (last, good) if entry.status == "ok" else (last,):
                    if entry.output not in table or table[entry.output].at <= entry.at:
                        table[entry.output] = entry
    return Manifest(folder, last, good)


def path_for(folder: Path, shard: str = "") -> Path:
    """The manifest of a folder, or that of one shard: "3/16". Machines may not share locks."""
    part = "." + shard.replace("/", "-of-") if shard else ""
    return folder / f"{NAME}{part}{SUFFIX}"


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

    Args:
        path: as `path_for` gives it; its folder is made where it is missing.
        settings: hash of the options. models: SHA-256 of the weights of each model, by name.

    Raises FileError: the manifest cannot be written.
    """

    def __init__(
        self, report: Report, path: Path, settings: str, models: Mapping[str, str]
    ) -> None:
        self._report, self._folder = report, path.parent
        self._settings, self._models = settings, models
        self._begun: dict[int, Entry] = {}
        self._one_line = threading.Lock()  # files that overlap write theirs from threads
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = open(path, "a+b", buffering=0)  # noqa: SIM115
        except OSError as problem:
            reason = (problem.strerror or "cannot be written").lower()
            raise FileError(path, reason, "write elsewhere with -o") from None

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def started(self, job: Job, index: int, total: int) -> None:
        if job.target is not None and not job.skip and job.problem is None:
            with self._told_if_missing(job):
                self._begun[id(job)] = entry = self._entry(job, job.target)
                self._append(entry)
        self._report.started(job, index, total)

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        self._report.progress(job, fraction, status)

    def note(self, job: Job, line: str) -> None:
        self._report.note(job, line)

    def finished(self, outcome: Outcome) -> None:
        entry = self._begun.pop(id(outcome.job), None)
        if entry is not None and outcome.status in ("ok", "failed"):
            with self._told_if_missing(outcome.job):
                self._append(self._ended(entry, outcome))
        self._report.finished(outcome)

    def _entry(self, job: Job, target: Path) -> Entry:
        second = None if job.std_target is None else place_in(self._folder, job.std_target)
        output = place_in(self._folder, target)
        entry = Entry(output, "started", settings=self._settings, std_output=second)
        if job.source is not None:
            entry = replace(entry, input=str(absolute(job.source)))
            with contextlib.suppress(OSError):  # it fails in its turn, with the right words
                entry = replace(entry, read=Content.of(job.source))
        return entry

    def _ended(self, entry: Entry, outcome: Outcome) -> Entry:
        """The line of a job that is over. Raises OSError: its result is not there any more."""
        seconds, second = round(outcome.seconds, 3), outcome.job.std_target
        if outcome.status == "failed":
            return replace(entry, status="failed", reason=outcome.error, seconds=seconds)
        assert outcome.job.target is not None
        model = str(outcome.details.get("model") or "")
        return replace(
            entry,
            status="ok",
            model=model,
            weights=self._models.get(model, ""),
            seconds=seconds,
            written=Content.of(outcome.job.target),
            std_written=None if second is None else Content.of(second),
        )

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
                fcntl.flock(self._stream.fileno(), getattr(fcntl, operation))

    @contextlib.contextmanager
    def _told_if_missing(self, job: Job) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            reason = (problem.strerror or "cannot be written").lower()
            self._report.note(job, f"not in the manifest ({reason}): --resume will do it again")


# --- what is done already, and why the rest is due ----------------------------------------------


def resume(
    jobs: Sequence[Job], manifest: Manifest, settings: str, models: Mapping[str, str]
) -> list[Job]:
    """The jobs; those that are done are marked as skipped, the others with why they are due.

    Done is what the manifest says so of, with the same settings, weights and input, and with the
    output still there. An output that is there, a second one too, is replaced only if the manifest
    shows that mdn wrote it and nobody has changed it since; any other is a problem of its job.

    Args:
        jobs: of the batch, as planned.
        settings: hash of what is asked for now.
        models: SHA-256 of the weights of each model that may be used, by name.
    """
    return [_resumed(job, manifest, settings, models) for job in jobs]


def _resumed(job: Job, manifest: Manifest, settings: str, models: Mapping[str, str]) -> Job:
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


def _due(
    job: Job, last: Entry | None, good: Entry | None, settings: str, models: Mapping[str, str]
) -> str:
    """Why a job is to be done, in a few words; empty where it is done."""
    outputs = [path for path in (job.target, job.std_target) if path is not None]
    if good is None:
        return f"failed: {last.reason}" if last and last.status == "failed" else "not done yet"
    if not all(map(os.path.lexists, outputs)):
        return "the result is gone"
    assert job.target is not None
    if good.written is not None and not good.written.holds(job.target):
        return "begun and not finished"
    if good.settings != settings or models.get(good.model, "") != good.weights:
        return "done with other options or weights"
    same = job.source is not None and good.read is not None and good.read.holds(job.source)
    return "" if same else "the input has changed"
