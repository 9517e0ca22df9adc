"""Running a batch: what is recorded, what is let through, what is left behind."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch  # noqa: F401 - as where pictures are computed

from mdn.errors import FileError, ModelError, OutOfMemoryError
from mdn.jobs.job import BatchResult, Job, Outcome, Report
from mdn.jobs.running import run_batch


class Recorder:
    """A report that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    @property
    def said(self) -> list[str]:
        return [line for kind, line in self.events if kind == "note"]

    def started(self, job: Job, index: int, total: int) -> None:
        self.events.append(("started", f"{job.name} {index}/{total}"))

    def progress(self, job: Job, fraction: float, status: str = "") -> None:
        self.events.append(("progress", f"{job.name} {fraction:g}"))

    def note(self, job: Job, line: str) -> None:
        self.events.append(("note", line))

    def finished(self, outcome: Outcome) -> None:
        self.events.append(("finished", f"{outcome.job.name} {outcome.status}"))


def job(name: str, **fields: object) -> Job:
    return Job(Path(name), Path(f"{name}.out"), name, **fields)


def fails_on(*names: str, error: Exception | None = None):
    def work(job: Job, report: Report) -> dict[str, object]:
        if job.name in names:
            raise error or FileError(job.name, "damaged")
        report.progress(job, 0.5)
        return {"width": 3}

    return work


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        (["ok", "ok"], 0),
        (["ok", "skipped"], 0),
        (["skipped"], 0),
        (["planned"], 0),
        (["ok", "failed"], 3),
        (["skipped", "failed"], 3),
        (["failed", "failed"], 4),
        (["failed"], 4),
        ([], 4),
    ],
)
def test_exit_codes(statuses: list, code: int) -> None:
    result = BatchResult(tuple(Outcome(job("a"), status) for status in statuses))
    assert result.exit_code == code


def test_a_batch_goes_on_after_a_failure() -> None:
    report = Recorder()
    result = run_batch([job("a"), job("b"), job("c")], fails_on("b"), report)
    assert [outcome.status for outcome in result.outcomes] == ["ok", "failed", "ok"]
    assert result.outcomes[1].error == "b: damaged"
    assert result.outcomes[0].details == {"width": 3}
    assert report.events == [
        ("started", "a 1/3"),
        ("progress", "a 0.5"),
        ("finished", "a ok"),
        ("started", "b 2/3"),
        ("finished", "b failed"),
        ("started", "c 3/3"),
        ("progress", "c 0.5"),
        ("finished", "c ok"),
    ]


def test_a_dry_run_skips_and_problems_do_no_work() -> None:
    barred = FileError("b", "no such file")
    jobs = [job("a", skip="a.out exists"), job("b", problem=barred), job("c")]
    work = fails_on("a", "b", "c", error=AssertionError("worked"))
    for dry_run, last in ((True, "planned"), (False, "failed")):
        outcomes = run_batch(jobs, work, Recorder(), dry_run=dry_run).outcomes
        assert [outcome.status for outcome in outcomes] == ["skipped", "failed", last]
        texts = [outcome.error for outcome in outcomes[:2]]
        assert texts == ["a.out exists", "b: no such file"]


@pytest.mark.parametrize("error", [ModelError("damaged"), KeyboardInterrupt(), BrokenPipeError()])
def test_what_would_befall_every_file_is_let_through(error: BaseException) -> None:
    def work(job: Job, report: Report) -> dict[str, object]:
        raise error

    with pytest.raises(type(error)):
        run_batch([job("a"), job("b")], work, Recorder())


ALLOCATOR = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 8 TB"


@pytest.mark.parametrize(
    "error", [OutOfMemoryError("full"), MemoryError(), RuntimeError(ALLOCATOR)], ids=str
)
def test_a_picture_too_large_for_the_memory_is_a_failure_of_that_file(error: Exception) -> None:
    jobs = [job("a"), job("b")]
    result = run_batch(jobs, fails_on("a", error=error), Recorder())
    assert [outcome.status for outcome in result.outcomes] == ["failed", "ok"]
    assert result.outcomes[0].error.startswith("a: ")
    assert result.exit_code == 3
    assert run_batch(jobs[:1], fails_on("a", error=error), Recorder()).exit_code == 5


@pytest.mark.parametrize("error", [ValueError("odd\nshape"), RuntimeError()])
def test_an_internal_error_is_a_failure_of_that_file(error: Exception) -> None:
    jobs = [job("a"), job("b"), job("c")]
    result = run_batch(jobs, fails_on("b", error=error), Recorder())
    assert [outcome.status for outcome in result.outcomes] == ["ok", "failed", "ok"]
    assert result.exit_code == 3
    line = result.outcomes[1].error
    assert line.startswith(f"b: internal error of mdn, {type(error).__name__}")
    assert "report it" in line
    assert len(line.splitlines()) == 1
    assert "in work" in result.outcomes[1].trace
    assert run_batch(jobs[:1], fails_on("a", error=error), Recorder()).exit_code == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "a.out: the disk is full; free some space"),
        (OSError(errno.EACCES, "x"), "a.out: permission denied"),
        (OSError(errno.EROFS, "x"), "a.out: the disk is read-only"),
        (OSError(errno.EIO, "Input/output error", "b/d.png"), "b/d.png: Input/output error"),
    ],
)
def test_what_the_system_refuses_names_the_file_and_a_remedy(error: OSError, words: str) -> None:
    result = run_batch([job("a")], fails_on("a", error=error), Recorder())
    assert result.outcomes[0].error.startswith(words)


def test_folders_made_for_nothing_are_taken_away(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    target = tmp_path / "old" / "new" / "deep" / "out.png"
    run_batch([Job(None, target, "a")], fails_on("a"), Recorder())
    assert list(tmp_path.rglob("*")) == [tmp_path / "old"]


def test_a_folder_that_cannot_be_made_is_a_failure_of_that_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    jobs = [Job(None, tmp_path / "file" / "x" / "out.png", "a"), job("b")]
    result = run_batch(jobs, fails_on(), Recorder())
    assert [outcome.status for outcome in result.outcomes] == ["failed", "ok"]


@pytest.fixture
def whole(tmp_path: Path) -> Job:
    """A file with two outputs, which may replace others."""
    source = tmp_path / "a.png"
    source.write_bytes(b"input")
    out, std = tmp_path / "out.png", tmp_path / "std.tif"
    return Job(source, out, "a.png", std_target=std, overwrite=True, std_overwrite=True)


def grows(job: Job, report: Report) -> dict[str, object]:
    """Work on an input that somebody writes to meanwhile."""
    job.source.write_bytes(b"longer input")
    job.target.write_bytes(b"result")
    job.std_target.write_bytes(b"map")
    return {}


def test_results_of_an_input_that_changed_are_not_kept(whole: Job, tmp_path: Path) -> None:
    result = run_batch([whole], grows, Recorder())
    assert "changed while it was read" in result.outcomes[0].error
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_results_in_the_place_of_older_files_stay_though_the_input_changed(whole: Job) -> None:
    whole.target.write_bytes(b"older")
    run_batch([whole], grows, Recorder())
    assert whole.target.read_bytes() == b"result"
    assert not whole.std_target.exists()


def test_a_second_output_that_appears_after_planning_is_left_alone(whole: Job) -> None:
    whole.std_target.write_bytes(b"somebody's")
    result = run_batch([replace(whole, std_overwrite=False)], grows, Recorder())
    assert "std.tif: exists by now and is left as it is" in result.outcomes[0].error
    assert whole.std_target.read_bytes() == b"somebody's"
