"""Writing a manifest while a batch runs, and keeping other runs out of its folder."""

import contextlib
import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from mdn.batch import manifest
from mdn.batch.manifest import Entry, Run
from mdn.batch.running import Job, Outcome, Report
from mdn.errors import FileError, UsageError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind; runs are not kept apart there
    fcntl = None  # type: ignore[assignment]


class Journal(contextlib.AbstractContextManager["Journal"]):
    """The manifest of one run, open for appending and locked until it is closed.

    The lock is the operating system's own, so that it goes with the process, however that ends.

    Args:
        path: as `manifest.path_for` gives it; its folder is made where it is missing.
        run: what to note of this run.

    Raises:
        UsageError: another run has it open; says which.
        FileError: it cannot be written.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self.path, self._one_line = path, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._stream: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115
        except OSError as problem:
            reason = (problem.strerror or "cannot be written").lower()
            raise FileError(path, reason, "write elsewhere with -o") from None
        try:
            self._lock()
            self._whole = self._ends_a_line()
            self._append(manifest.run_line(run))
        except BaseException:
            self._stream.close()
            raise

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.path.parent}: another run is writing here{_owner(self.path.parent)};"
                " wait for it, share the work with --shard, or write elsewhere with -o"
            ) from None
        except OSError:  # a file system without locks
            return

    def _ends_a_line(self) -> bool:
        """Whether the last line is whole; a killed process may have left a part of one."""
        with self.path.open("rb") as stream:
            if not stream.seek(0, os.SEEK_END):
                return True
            stream.seek(-1, os.SEEK_END)
            return stream.read(1) == b"\n"

    def add(self, entry: Entry) -> None:
        """Appends a line.

        Raises OSError: it could not be written; the next line begins anew all the same.
        """
        self._append(manifest.entry_line(entry))

    def _append(self, text: bytes) -> None:
        with self._one_line:  # files that overlap write theirs from threads
            text = text if self._whole else b"\n" + text
            self._whole = False
            self._whole = self._stream.write(text) == len(text)

    def close(self) -> None:
        """Closes the file, and with it the lock."""
        self._stream.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def this_run(
    command: str, arguments: tuple[str, ...], version: str, shard: str = "", settings: str = ""
) -> Run:
    """The line of a run of this process, begun now.

    settings: their hash, where more decides the result than the arguments.
    """
    return Run(
        command,
        arguments,
        settings or manifest.settings_hash(command, arguments),
        version,
        shard,
        host=socket.gethostname(),
        pid=os.getpid(),
        user=_user(),
        at=round(time.time(), 3),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in containers
        return str(os.getuid()) if hasattr(os, "getuid") else ""


def _owner(folder: Path) -> str:
    """ "(process 12 of ada on node3, since 10:31)", from the latest run that wrote here."""
    with contextlib.suppress(OSError):
        runs = manifest.read(folder).runs.values()
        if last := max(runs, key=lambda run: run.at, default=None):
            since = time.strftime("%d %b %H:%M", time.localtime(last.at))
            return f" (process {last.pid} of {last.user} on {last.host}, since {since})"
    return ""


class Recording:
    """A report that writes the manifest and hands everything on to another report.

    settings: their hash. models: SHA-256 of the weights of each model, by name.
    """

    def __init__(
        self, report: Report, journal: Journal, settings: str, models: Mapping[str, str]
    ) -> None:
        self._report, self._journal = report, journal
        self._settings, self._models = settings, models
        self._begun: dict[int, Entry] = {}

    def started(self, job: Job, index: int, total: int) -> None:
        if job.target is not None and not job.skip and job.problem is None:
            entry = self._entry(job, job.target)
            self._begun[id(job)] = entry
            with self._told_if_missing(job):
                self._journal.add(entry)
        self._report.started(job, index, total)

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        self._report.progress(job, fraction, status)

    def note(self, job: Job, line: str) -> None:
        self._report.note(job, line)

    def finished(self, outcome: Outcome) -> None:
        entry = self._begun.pop(id(outcome.job), None)
        if entry is not None and outcome.status in ("ok", "failed"):
            with self._told_if_missing(outcome.job):
                self._journal.add(self._ended(entry, outcome))
        self._report.finished(outcome)

    def _entry(self, job: Job, target: Path) -> Entry:
        folder = self._journal.path.parent
        entry = Entry(
            manifest.place_in(folder, target),
            "started",
            settings=self._settings,
            std_output=None
            if job.std_target is None
            else manifest.place_in(folder, job.std_target),
            draw=job.draw,
        )
        if job.source is None:
            return entry
        entry = replace(entry, input=str(manifest.absolute(job.source)))
        # What cannot be read fails in its turn, with the right words.
        with contextlib.suppress(OSError):
            entry = replace(entry, **_content(job.source))
        return entry

    def _ended(self, entry: Entry, outcome: Outcome) -> Entry:
        """The line of a job that is over. Raises OSError: its result is not there any more."""
        seconds = round(outcome.seconds, 3)
        if outcome.status == "failed":
            return replace(entry, status="failed", reason=outcome.error, seconds=seconds)
        target, second = outcome.job.target, outcome.job.std_target
        assert target is not None
        if second is not None:
            entry = replace(entry, **_content(second, "std_output_"))
        model = _text(outcome.details, "model")
        return replace(
            entry,
            status="ok",
            model=model,
            weights=self._models.get(model, ""),
            seconds=seconds,
            **_content(target, "output_"),
        )

    @contextlib.contextmanager
    def _told_if_missing(self, job: Job) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            reason = (problem.strerror or "cannot be written").lower()
            self._report.note(job, f"not in the manifest ({reason}): --resume will do it again")


def _content(path: Path, prefix: str = "") -> dict[str, Any]:
    """What a file holds now, as fields of an entry. Raises OSError: it cannot be read."""
    names = (f"{prefix}size", f"{prefix}mtime_ns", f"{prefix}sha256")
    return dict(zip(names, manifest.content(path), strict=True))


def _text(details: Mapping[str, object], key: str) -> str:
    value = details.get(key)
    return value if isinstance(value, str) else ""
