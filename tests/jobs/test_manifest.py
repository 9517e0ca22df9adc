"""The manifest: what is done, what is done again and what is left alone, by its lines."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mdn.errors import FileError
from mdn.jobs import manifest
from mdn.jobs.job import Job, Unheard
from mdn.jobs.manifest import (
    DONE,
    Content,
    Entry,
    Manifest,
    Recording,
    digest,
    resumed,
    stamp,
)
from mdn.jobs.running import run_batch
from tests.jobs.test_running import Recorder

MODELS = {"tiny": "1234"}


class Batch:
    """One file, its output and its manifest."""

    def __init__(self, folder: Path) -> None:
        self.source, self.out = folder / "a.png", folder / "out"
        self.source.write_bytes(b"input")
        self.job = Job(self.source, self.out / "a.png", "a.png")

    def run(self, *, fails: bool = False, taken: bool = False, settings: str = "s") -> Recorder:
        def work(job: Job, report: object) -> dict[str, object]:
            if fails:
                raise FileError(job.name, "damaged")
            assert job.target is not None
            if not taken:
                job.target.write_bytes(b"output")
            if job.std_target is not None:
                job.std_target.write_bytes(b"map")
            return {"model": "tiny"}

        report = Recorder()
        with Recording(report, manifest.path_for(self.out), settings, MODELS) as recording:
            run_batch([self.job], work, recording)
        return report

    @property
    def known(self) -> Manifest:
        return manifest.read(self.out)

    def after(self, settings: str = "s", models: dict[str, str] = MODELS) -> Job:
        return resumed(self.job, self.known, settings, models)


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


def redone(job: Job) -> bool:
    return not job.skip and job.problem is None


def test_what_is_done_is_skipped_without_opening_it_and_what_was_touched_after(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.run()

    def opened(path: Path) -> str:
        raise AssertionError(f"{path} was read")

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "digest", opened)
        assert batch.after().skip == DONE
    os.utime(batch.source, (1, 1))
    assert batch.after().skip == DONE


def test_the_manifest_says_what_was_done(batch: Batch) -> None:
    batch.run()
    entry = batch.known.last["a.png"]
    assert (entry.status, entry.input) == ("ok", str(batch.source))
    assert entry.read == Content.of(batch.source)
    assert (entry.model, entry.weights, entry.settings) == ("tiny", "1234", "s")
    assert entry.written == Content.of(batch.out / "a.png")


def test_other_settings_or_weights_are_done_again(batch: Batch) -> None:
    batch.run()
    assert batch.after(settings="t").due == "done with other options or weights"
    assert redone(batch.after(models={"tiny": "5678"}))
    assert redone(batch.after(models={"other": "1234"}))


def test_an_output_that_somebody_changed_is_left_alone(batch: Batch) -> None:
    batch.run()
    (batch.out / "a.png").write_bytes(b"retouched by hand")
    assert "changed after mdn wrote it" in str(batch.after(settings="t").problem)


def test_what_was_begun_is_done_again_even_if_its_output_is_there(batch: Batch) -> None:
    """Killed between the rename of the output and the line that says so."""
    batch.run()
    path = manifest.path_for(batch.out)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert batch.known.last["a.png"].status == "started"
    assert redone(batch.after())


def test_a_failure_leaves_what_an_earlier_run_did(batch: Batch) -> None:
    batch.run()
    batch.run(fails=True, settings="t")  # as of --overwrite; the old result is still there
    assert batch.after().skip == DONE
    assert batch.after(settings="t").due == "done with other options or weights"


def test_what_another_run_has_begun_is_not_lost(batch: Batch) -> None:
    batch.run()
    with Recording(Recorder(), manifest.path_for(batch.out), "t", MODELS) as recording:
        recording.started(batch.job, 1, 1)
    assert batch.after().skip == DONE


@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_no_run_wrote_is_left_alone(batch: Batch, known: bool) -> None:
    if known:
        batch.run(fails=True)
    batch.out.mkdir(exist_ok=True)
    (batch.out / "a.png").write_bytes(b"somebody's")
    assert "no run recorded it" in str(batch.after().problem)


@pytest.fixture
def second(batch: Batch) -> Path:
    """The second output of a batch."""
    batch.out.mkdir()
    batch.job = replace(batch.job, std_target=batch.out / "std.tif")
    return batch.out / "std.tif"


def test_a_second_output_is_replaced_if_mdn_wrote_it(batch: Batch, second: Path) -> None:
    batch.run()
    assert redone(batch.after(settings="t"))
    second.write_bytes(b"drawn on")
    assert "std.tif: exists already, and it was changed" in str(batch.after(settings="t").problem)
    batch.job = replace(batch.job, std_target=batch.out / "other.tif")
    (batch.out / "other.tif").write_bytes(b"somebody's")
    assert "other.tif: exists already, and no run" in str(batch.after(settings="t").problem)


def test_a_second_output_of_an_older_manifest_counts_as_done_but_is_not_replaced(
    batch: Batch, second: Path
) -> None:
    batch.run()
    path = manifest.path_for(batch.out)
    path.write_bytes(path.read_bytes().replace(b'"std_output_', b'"unknown_'))
    assert batch.after().skip == DONE
    assert "no run recorded it" in str(batch.after(settings="t").problem)


def test_a_result_that_is_taken_away_at_once_does_not_end_the_batch(batch: Batch) -> None:
    report = batch.run(taken=True)
    assert report.events[-2:] == [
        ("note", "not in the manifest (no such file or directory): --resume will do it again"),
        ("finished", "a.png ok"),
    ]
    assert redone(batch.after())


def test_a_full_disk_under_the_manifest_is_a_warning(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Recording, entry: Entry) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recording, "_append", full)
    batch.run()
    assert (batch.out / "a.png").read_bytes() == b"output"
    assert not batch.known.last


def write(folder: Path, *entries: Entry, shard: str = "") -> Path:
    path = manifest.path_for(folder, shard)
    with path.open("ab") as stream:
        stream.writelines(map(manifest.to_line, entries))
    return path


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    odd = os.fsdecode(b"a\n\xf0\x9f\x98\x80\xff.png")  # a line break, an emoji, a byte of no text
    entry = Entry(odd, "ok", f"/in/{odd}", Content(12, 34, "ab"), "cd", seconds=1.5, at=7.0)
    path = write(tmp_path, entry)
    assert manifest.read(tmp_path).last == {odd: entry}
    assert b'"size":12,"mtime_ns":34,"sha256":"ab"' in path.read_bytes()


def test_the_last_line_about_an_output_counts_and_hides_nothing_that_was_done(
    tmp_path: Path,
) -> None:
    write(tmp_path, Entry("a", "started", at=1.0), Entry("a", "ok", at=2.0))
    assert manifest.read(tmp_path).last["a"].status == "ok"
    write(tmp_path, Entry("a", "failed", at=3.0))
    found = manifest.read(tmp_path)
    assert (found.last["a"].status, found.good["a"].status) == ("failed", "ok")


def test_half_a_line_is_passed_over_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path, Entry("a", "started", at=1.0), Entry("a", "ok", at=2.0))
    path.write_bytes(path.read_bytes()[:-20])  # as a kill in the middle of a write leaves it
    assert manifest.read(tmp_path).last["a"].status == "started"
    with Recording(Unheard(), path, "", {}) as recording:
        recording._append(Entry("b", "ok"))
    found = manifest.read(tmp_path).last
    assert {name: each.status for name, each in found.items()} == {"a": "started", "b": "ok"}


def test_what_is_no_line_or_key_of_a_manifest_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, Entry("a", "ok"))
    head = b'[1]\n{"x": 1}\nnonsense\n\xff\n{"run": {"pid": 3}}\n'
    path.write_bytes(head + path.read_bytes() + b'{"output": "b", "status": "ok", "new": 1}\n')
    found = manifest.read(tmp_path).last
    assert (list(found), found["b"]) == (["a", "b"], Entry("b", "ok"))


def test_a_store_is_hashed_with_all_its_files(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    (store / "c").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    (store / "c" / "0").write_bytes(b"123")
    before = digest(store), stamp(store)
    assert before[1][0] == 5
    (store / "c" / "0").write_bytes(b"124")
    assert digest(store) != before[0]


WRITER = """
import sys
from pathlib import Path
from mdn.jobs.manifest import Entry, Recording
from mdn.jobs.job import Unheard
with Recording(Unheard(), Path(sys.argv[1]), "", {}) as recording:
    for number in range(300):
        recording._append(Entry(f"{sys.argv[2]}-{number}", "ok", reason=300 * "x"))
"""


def test_processes_that_write_at_once_leave_whole_lines(tmp_path: Path) -> None:
    path = manifest.path_for(tmp_path)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(path.read_bytes().splitlines()) == 600
    assert len(manifest.read(tmp_path).good) == 600


def test_a_manifest_that_cannot_be_written_names_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"mdn-manifest\.jsonl: "):
        Recording(Unheard(), manifest.path_for(tmp_path / "file"), "", {})
