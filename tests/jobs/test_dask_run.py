"""Files as tasks of a Dask cluster, whose two workers are threads of this process."""

import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mdn.errors import ClusterError, FileError, ModelError, UsageError
from mdn.io import base
from mdn.jobs import dask_cluster, dask_run
from mdn.jobs.dask_cluster import connect
from mdn.jobs.dask_run import distribute
from mdn.jobs.job import Job, Outcome, Report
from tests.jobs.test_running import Recorder

distributed = pytest.importorskip("distributed")
NoWorkerError = distributed.scheduler.NoWorkerError


def jobs(folder: Path, names: str) -> list[Job]:
    for name in names:
        (folder / name).write_text(name)
    return [Job(folder / name, folder / f"{name}.out", name) for name in names]


def copy(job: Job, report: Report, bad: str = "") -> dict[str, object]:
    if job.name in bad:
        raise FileError(job.name, "is damaged", "mend it")
    report.note(job, f"about {job.name}")
    job.target.write_bytes(job.source.read_bytes())
    return {"limit": base.max_pixels()}


def broken(job: Job, report: Report) -> dict[str, object]:
    raise ModelError("the weights are damaged")


def odd(job: Job, report: Report) -> dict[str, object]:
    if job.name == "b":
        raise ValueError("odd")
    return copy(job, report)


def prepare(work: Callable[..., dict[str, object]], counter: Path) -> object:
    with counter.open("a") as stream:
        stream.write("prepared\n")
    return work


def test_all_files_come_back_in_order_and_the_model_is_made_once(
    where: str, tmp_path: Path
) -> None:
    some, report = jobs(tmp_path, "abcdefg"), Recorder()
    some[2] = Job(tmp_path / "c", tmp_path / "c.out", "c", skip="it is there")
    counter = tmp_path / "counter"
    with base.pixel_limit(1234):
        result = distribute(some, partial(prepare, partial(copy, bad="be"), counter), report, where)
    statuses = ["ok", "failed", "skipped", "ok", "failed", "ok", "ok"]
    assert [each.status for each in result.outcomes] == statuses
    assert [each.job for each in result.outcomes] == some
    assert all(each.job is job for each, job in zip(result.outcomes, some, strict=True))
    assert result.outcomes[1].error == "b: is damaged; mend it"
    assert result.outcomes[0].details == {"limit": 1234}
    assert {event for event in report.events if event[0] == "note"} == {
        ("note", f"about {name}") for name in "adfg"
    }
    assert counter.read_text() == "prepared\n"  # both workers are threads of one process
    assert [(tmp_path / f"{name}.out").exists() for name in "abcdefg"] == [
        status == "ok" for status in statuses
    ]


def test_fail_fast_leaves_the_rest(where: str, tmp_path: Path) -> None:
    work = partial(partial, copy, bad="abcdefghijkl")
    result = distribute(jobs(tmp_path, "abcdefghijkl"), work, Recorder(), where, fail_fast=True)
    assert (len(result.outcomes), result.untried) == (1, 11)
    some = jobs(tmp_path, "abc")
    some[0] = Job(None, None, "a", problem=FileError("a", "is a folder"))
    result = distribute(some, partial(partial, copy), Recorder(), where, fail_fast=True)
    assert (len(result.outcomes), result.untried) == (1, 2)


def test_what_ends_a_batch_here_ends_it_there(where: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the weights are damaged"):
        distribute(jobs(tmp_path, "ab"), partial(partial, broken), Recorder(), where)


def test_an_internal_error_on_a_worker_is_a_failure_of_its_file(where: str, tmp_path: Path) -> None:
    def cut(work: object, job: Job, report: Report) -> None:
        raise IndexError("cut")  # in this process: the worker has the file to itself

    some = jobs(tmp_path, "abc")
    make = partial(prepare, odd, tmp_path / "counter")
    result = distribute(some, make, Recorder(), where, cut)
    assert [each.status for each in result.outcomes] == ["ok", "failed", "ok"]
    assert result.exit_code == 3
    assert result.outcomes[1].error.startswith("b: internal error of mdn, ValueError: odd")
    assert "in odd" in result.outcomes[1].trace


def test_another_mdn_on_a_worker_is_refused(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = dask_run._Task(partial(partial, copy))
    monkeypatch.setattr(task, "_version", "0.0.1")
    with pytest.raises(UsageError, match=r"a worker has mdn .*, and 0\.0\.1 here"):
        task.whole(jobs(tmp_path, "a")[0])


def test_a_scheduler_that_goes_is_one_line(tmp_path: Path) -> None:
    report = Recorder()
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:

        def finished(outcome: Outcome) -> None:
            Recorder.finished(report, outcome)
            cluster.close()

        report.finished = finished
        with pytest.raises(ClusterError, match="the scheduler of --dask is gone"):
            distribute(
                jobs(tmp_path, "abcdef"), partial(partial, copy), report, cluster.scheduler_address
            )
    assert len([kind for kind, _ in report.events if kind == "finished"]) < 6


def dies_once(job: Job, report: Report) -> dict[str, object]:
    assert "MALLOC_TRIM_THRESHOLD_" not in os.environ, "workers would page memory in and out"
    mark = job.source.with_suffix(".died")
    if job.name == "b" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return copy(job, report)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
@pytest.mark.parametrize("lost", ["1 minute", "1 ms"])  # by its nanny, and in its nanny's place
def test_a_worker_that_is_killed_is_replaced_and_its_file_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(dask_cluster, "LOST", lost)
    monkeypatch.setattr(dask_cluster, "CHECK", 0.2)
    some = jobs(tmp_path, "abc")
    result = distribute(some, partial(partial, dies_once), Recorder(), "local:1")
    assert [each.status for each in result.outcomes] == ["ok"] * 3
    assert (tmp_path / "b.died").exists()
    assert (tmp_path / "b.out").read_text() == "b"


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (distributed.KilledWorker("task", None, 3), "a: each of 4 workers died over it; try --max"),
        (NoWorkerError("task", 600.0), "no worker of --dask is left; run again with --resume"),
    ],
)
def test_work_that_no_worker_can_do_is_one_line(raised: Exception, message: str) -> None:
    class Future:
        status = "error"

        def result(self) -> object:
            raise raised

    error = ClusterError if isinstance(raised, NoWorkerError) else FileError
    with pytest.raises(error, match=message):
        dask_run._result(Future(), "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("remote", "write local"),
        ("local:0", "write local"),
        ("missing.yaml", "cannot be read"),
        ("module: nowhere\nclass: X", "describes no cluster"),
        ("- 1", "describes no cluster"),
    ],
)
def test_what_is_no_cluster_is_refused(text: str, message: str, tmp_path: Path) -> None:
    if "\n" in text or text.startswith("-"):
        (tmp_path / "cluster.yaml").write_text(text)
        text = str(tmp_path / "cluster.yaml")
    with pytest.raises(UsageError, match=message), connect(text):
        pass


def test_no_scheduler_at_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mdn.jobs.dask_cluster.WAIT", 0.2)
    with pytest.raises(UsageError, match="no scheduler answers"), connect("tcp://127.0.0.1:9"):
        pass


def test_workers_that_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise RuntimeError("Nanny failed to start.")

    monkeypatch.setattr(distributed, "LocalCluster", fails)
    before = signal.getsignal(signal.SIGINT)
    message = r"--dask local:1: its workers do not start \(Nanny failed to start\)"
    with pytest.raises(UsageError, match=message), connect("local:1"):
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_without_dask_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'mdn\[dask\]'"), connect("local"):
        pass
