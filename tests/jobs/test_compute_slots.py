"""Files that overlap: one computes, the next is read, the one before is written."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mdn.errors import FileError, ModelError, OutOfMemoryError
from mdn.io.base import check_size
from mdn.jobs import compute_slots
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.job import BatchResult, Job, Report
from mdn.jobs.running import run_batch
from tests.jobs.test_running import Recorder, job

PATIENCE = 30  # seconds until a file that waits in vain for another gives up
Work = Callable[[Job, Report], dict[str, object]]


def reached(event: threading.Event) -> None:
    assert event.wait(PATIENCE), "files do not overlap"


def run(
    work: Work, slots: ComputeSlots, names: str = "abc", report: Report | None = None
) -> BatchResult:
    return run_batch([job(name) for name in names], work, report or Recorder(), slots=slots)


def written(result: BatchResult) -> str:
    return "".join(each.job.name for each in result.outcomes if each.status == "ok")


def test_the_next_is_read_and_the_last_is_written_while_one_computes(tmp_path: Path) -> None:
    slots = ComputeSlots()
    read, computing = ({name: threading.Event() for name in "abc"} for _ in range(2))

    def work(job: Job, report: Report) -> dict[str, object]:
        read[job.name].set()

        def compute() -> None:
            computing[job.name].set()
            if job.name == "a":
                reached(read["b"])

        slots.run(compute)
        if job.name == "a":
            reached(computing["b"])
        return {}

    assert written(run(work, slots)) == "abc"


@pytest.mark.parametrize("lanes", [1, 2])
def test_no_more_than_allowed_compute_or_are_in_hand(lanes: int) -> None:
    slots, lock = ComputeSlots(lanes), threading.Lock()
    now = {"hand": 0, "compute": 0, "alone": 0}
    most = dict(now)

    def count(what: str, step: int) -> None:
        with lock:
            now[what] += step
            most[what] = max(most[what], now[what])
            assert not now["alone"] or now["compute"] == 1

    def work(job: Job, report: Report) -> dict[str, object]:
        alone = job.name in "dg"
        count("hand", 1)

        def compute() -> None:
            count("compute", 1)
            count("alone", alone)
            threading.Event().wait(0.01)
            count("alone", -alone)
            count("compute", -1)

        slots.run(compute, alone=alone)
        count("hand", -1)
        return {}

    assert written(run(work, slots, "abcdefghij")) == "abcdefghij"
    assert most["compute"] <= lanes
    assert most["hand"] <= slots.files


def test_a_fault_is_told_in_its_place_whenever_it_was_found() -> None:
    slots, found = ComputeSlots(), threading.Event()

    def work(job: Job, report: Report) -> dict[str, object]:
        if job.name == "b":
            found.set()
            raise FileError("b", "is damaged")

        def compute() -> None:
            if job.name == "a":
                reached(found)

        slots.run(compute)
        return {}

    report = Recorder()
    result = run(work, slots, report=report)
    ends = [what for kind, what in report.events if kind == "finished"]
    assert (ends, result.outcomes[1].error) == (["a ok", "b failed", "c ok"], "b: is damaged")
    assert result.exit_code == 3


def test_what_would_befall_every_file_ends_the_batch_but_not_a_write() -> None:
    slots, broken = ComputeSlots(), threading.Event()

    def work(job: Job, report: Report) -> dict[str, object]:
        def compute() -> None:
            if job.name == "b":
                broken.set()
                raise ModelError("damaged")
            assert job.name == "a", "c was begun after all"

        slots.run(compute)
        reached(broken)
        slots.check_write()
        return {}

    report = Recorder()
    with pytest.raises(ModelError):
        run(work, slots, report=report)
    assert ("finished", "a ok") in report.events
    assert ("finished", "c ok") not in report.events


@pytest.mark.parametrize("presses", [1, 2])
def test_an_interrupt_stops_computing_at_once_and_writing_at_the_second(
    presses: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots, left = ComputeSlots(), presses
    writing, computing, given_up = threading.Event(), threading.Event(), threading.Event()
    waits = compute_slots.wait

    def wait(*arguments: Any) -> Any:
        """As Ctrl-C in the main thread, while it waits for a file."""
        nonlocal left
        if left and writing.is_set() and computing.is_set():
            left -= 1
            raise KeyboardInterrupt
        return waits(*arguments)

    def work(job: Job, report: Report) -> dict[str, object]:
        def compute() -> None:
            while job.name == "c":  # a long computation, which asks whether it is still wanted
                computing.set()
                report.progress(job, 0.5)

        slots.run(compute)
        if job.name == "a":  # written, but not reported, when Ctrl-C comes
            reached(writing)
            reached(computing)
        if job.name == "b":
            writing.set()
            while not slots._stopped or (presses == 2 and not slots._given_up):
                threading.Event().wait(0.01)
            try:
                slots.check_write()
            except BaseException:
                given_up.set()
                raise
        return {}

    monkeypatch.setattr(compute_slots, "wait", wait)
    monkeypatch.setattr(compute_slots, "LISTEN", 0.01)
    report = Recorder()
    with pytest.raises(KeyboardInterrupt):
        run(work, slots, "abc", report)
    ends = [what for kind, what in report.events if kind == "finished"]
    assert ends == (["a ok", "b ok"] if presses == 1 else ["a ok"])
    assert given_up.is_set() == (presses == 2)


def test_what_is_too_large_to_lie_beside_others_is_not_decoded_ahead() -> None:
    slots = ComputeSlots()
    with slots.beside_others():  # one by one: only --max-memory may refuse it
        check_size("a", 2**20, 2**20, limit=2**62)
    refused = []

    def work(job: Job, report: Report) -> dict[str, object]:
        with slots.beside_others():
            check_size("a", 8, 8)
            try:
                check_size("a", 2**20, 2**20, limit=2**62)
            except OutOfMemoryError:
                refused.append(job.name)
        return {}

    run(work, slots, "ab")
    assert sorted(refused) == ["a", "b"]


def test_one_thread_computes_though_each_file_has_its_own() -> None:
    """Each thread that computes gets a team of OpenMP's: more of them than cores is slow."""
    slots = ComputeSlots()
    files, computers = set[int](), set[int]()

    def work(job: Job, report: Report) -> dict[str, object]:
        files.add(threading.get_ident())
        computers.add(slots.run(threading.get_ident))
        return {"threads": slots.run(torch.get_num_threads)}

    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        outcomes = run(work, slots, "abcdef").outcomes
    finally:
        torch.set_num_threads(usual)
    assert len(computers) == 1
    assert not computers & files
    assert {each.details.get("threads") for each in outcomes} == {3}


def test_a_folder_stays_as_long_as_another_file_wants_it(tmp_path: Path) -> None:
    slots, failed = ComputeSlots(), threading.Event()
    target = tmp_path / "new" / "deep"

    def work(job: Job, report: Report) -> dict[str, object]:
        if job.name == "a":
            failed.set()
            raise FileError("a", "is damaged")
        reached(failed)
        threading.Event().wait(0.05)
        job.target.write_bytes(b"b")
        return {}

    jobs = [Job(Path(name), target / name, name) for name in "ab"]
    result = run_batch(jobs, work, Recorder(), slots=slots)
    assert [each.status for each in result.outcomes] == ["failed", "ok"]
    assert (target / "b").exists()


@pytest.mark.parametrize("phase", ["read", "compute", "write"])
def test_an_internal_error_of_one_file_leaves_the_others(phase: str) -> None:
    def work(job: Job, report: Report) -> dict[str, object]:
        def step(name: str) -> None:
            if (job.name, name) == ("b", phase):
                raise IndexError("out of bounds")

        step("read")
        slots.run(lambda: step("compute"))
        step("write")
        return {}

    slots = ComputeSlots()
    result = run(work, slots, "abcde")
    assert (written(result), result.exit_code) == ("acde", 3)
    assert "b: internal error of mdn, IndexError: out of bounds" in result.outcomes[1].error
    assert "in step" in result.outcomes[1].trace
