"""The manifest of a batch: JSON lines beside the outputs, that say what was made of which input.

A line is appended when a file is begun and another when it is over, so that after a crash the
manifest says what is done, and what was begun and must be done again. The output is renamed into
place before the second line is written: what is half done is never taken for done.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

NAME = "mdn-manifest"
SUFFIX = ".jsonl"

Status = Literal["started", "ok", "failed"]
Content = tuple[int, int, str]  # of a file: bytes, time of change in ns, SHA-256


@dataclass(frozen=True)
class Entry:
    """One line: an input, what was asked for, and what came of it."""

    output: str  # the file written, as `place_in` spells it: the key
    status: Status  # started, ok or failed
    input: str | None = None  # absolute path of the file read
    # size, mtime_ns, sha256: of the input before it was read; bytes, nanoseconds, hexadecimal
    size: int = -1
    mtime_ns: int = -1
    sha256: str = ""
    settings: str = ""  # hash of the options that change the result
    # model, weights: name and SHA-256 of the model used, where there was one
    model: str = ""
    weights: str = ""
    # output_size, output_mtime_ns, output_sha256: of the file written
    output_size: int = -1
    output_mtime_ns: int = -1
    output_sha256: str = ""
    std_output: str | None = None  # a second file written, spelled as `output`
    # std_output_size, std_output_mtime_ns, std_output_sha256: of that file
    std_output_size: int = -1
    std_output_mtime_ns: int = -1
    std_output_sha256: str = ""
    draw: int = 1  # which of several outputs of the input, from 1
    reason: str = ""  # why it failed
    seconds: float = 0.0  # how long it took
    at: float = 0.0  # when the line was written, in seconds since 1970

    @property
    def read(self) -> Content:
        """The input as it was read."""
        return self.size, self.mtime_ns, self.sha256

    @property
    def written(self) -> Content:
        """The output as it was written."""
        return self.output_size, self.output_mtime_ns, self.output_sha256

    @property
    def std_written(self) -> Content:
        """The second output as it was written; without a hash where there is none."""
        return self.std_output_size, self.std_output_mtime_ns, self.std_output_sha256


@dataclass(frozen=True)
class Run:
    """The line that begins a run: who wrote the lines below it, and with which command."""

    command: str  # denoise, zeroshot or noise
    arguments: tuple[str, ...]  # its options that change the result, as on a command line
    settings: str  # their hash
    version: str  # of mdn
    shard: str = ""  # "3/16", or empty
    # host, pid, user: whose process it is
    host: str = ""
    pid: int = 0
    user: str = ""
    at: float = 0.0  # when it began, in seconds since 1970


@dataclass(frozen=True)
class Manifest:
    """What is known of a folder of outputs."""

    folder: Path  # where the manifests lie
    entries: Mapping[str, Entry]  # the latest line of each output, by output
    # those that wrote here, by the hash of their settings; the latest of each
    runs: Mapping[str, Run]
    shards: tuple[str, ...]  # names of the shards that wrote here, such as "3/16"
    files: tuple[Path, ...]  # the manifests read

    def of(self, target: Path) -> Entry | None:
        """The latest line about an output, or None."""
        return self.entries.get(place_in(self.folder, target))

    def path_of(self, place: str) -> Path:
        """The file that an entry's `output` or `std_output` means."""
        return self.folder / place


def read(folder: Path) -> Manifest:
    """All manifests of a folder, those of its shards included; empty where there is none.

    Lines that are no JSON, as the last one of a process that was killed, are passed over.

    Raises OSError: a manifest cannot be read.
    """
    entries: dict[str, Entry] = {}
    runs: dict[str, Run] = {}
    shards: dict[str, None] = {}
    files = tuple(sorted(folder.glob(f"{NAME}*{SUFFIX}")))
    for path in files:
        for record in _records(path):
            if "run" in record:
                run = Run(**_known(Run, record["run"]))
                if run.settings not in runs or runs[run.settings].at <= run.at:
                    runs[run.settings] = run
                if run.shard:
                    shards[run.shard] = None
            elif isinstance(record.get("output"), str) and "status" in record:
                entry = Entry(**_known(Entry, record))
                if entry.output not in entries or entries[entry.output].at <= entry.at:
                    entries[entry.output] = entry
    return Manifest(folder, entries, runs, tuple(shards), files)


def path_for(folder: Path, shard: str = "") -> Path:
    """The manifest of a folder, or that of one shard: "3/16"."""
    part = "." + shard.replace("/", "-of-") if shard else ""
    return folder / f"{NAME}{part}{SUFFIX}"


def place_in(folder: Path, path: Path) -> str:
    """How a manifest in `folder` calls `path`: relative where it lies below it, else absolute."""
    full, root = absolute(path), absolute(folder)
    return (full.relative_to(root) if full.is_relative_to(root) else full).as_posix()


def absolute(path: Path) -> Path:
    """The path from the root, without `..`; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def line(record: Mapping[str, Any]) -> bytes:
    """One record as a line of ASCII; names that are not Unicode survive as lone surrogates."""
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def entry_line(entry: Entry) -> bytes:
    """An entry as a line, without what it does not know."""
    empty = {field.name: field.default for field in fields(Entry)}
    values = asdict(entry) | {"at": entry.at or round(time.time(), 3)}
    return line({key: value for key, value in values.items() if value != empty[key]})


def run_line(run: Run) -> bytes:
    """The first line of a run."""
    return line({"run": asdict(run)})


def settings_hash(command: str, arguments: Iterable[str]) -> str:
    """What stands for a command with its options: 16 hexadecimal digits."""
    text = json.dumps([command, *arguments])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; of a folder: their sum and maximum over its files.

    Raises OSError: it cannot be looked at.
    """
    files = [file.stat() for file in _files(path)]
    return sum(file.st_size for file in files), max((file.st_mtime_ns for file in files), default=0)


def content(path: Path) -> Content:
    """What is recorded of a file or folder. Raises OSError: it cannot be read."""
    return *stamp(path), digest(path)


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files.

    Raises OSError: it cannot be read.
    """
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in _files(path):
        name = file.relative_to(path).as_posix()
        whole.update(f"{name}\0{digest(file)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def _files(path: Path) -> list[Path]:
    """A file itself, or all files of a folder in a fixed order."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file())


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as stream:
        for text in stream:
            try:
                record = json.loads(text)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys that a later mdn may write."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in values.items() if key in names}
