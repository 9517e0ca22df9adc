"""The manifest: its lines, what a crash leaves of them, and several runs that write one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mdn.errors import FileError
from mdn.jobs import manifest
from mdn.jobs.content import Content, digest, stamp
from mdn.jobs.job import Unheard
from mdn.jobs.manifest import Entry, Recording


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


def test_the_last_line_about_an_output_counts(tmp_path: Path) -> None:
    write(tmp_path, Entry("a", "started", at=1.0), Entry("a", "ok", at=2.0))
    assert manifest.read(tmp_path).last["a"].status == "ok"


def test_a_later_failure_does_not_hide_what_was_done(tmp_path: Path) -> None:
    write(tmp_path, Entry("a", "ok", at=1.0), Entry("a", "failed", at=2.0))
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


def test_what_is_no_line_of_a_manifest_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, Entry("a", "ok"))
    head = b'[1]\n{"x": 1}\nnonsense\n\xff\n{"run": {"pid": 3}}\n'
    path.write_bytes(head + path.read_bytes())
    assert list(manifest.read(tmp_path).last) == ["a"]


def test_keys_of_a_later_version_are_left_aside(tmp_path: Path) -> None:
    manifest.path_for(tmp_path).write_text('{"output": "a", "status": "ok", "invented": 1}\n')
    assert manifest.read(tmp_path).last["a"] == Entry("a", "ok")


def test_the_manifests_of_shards_are_read_as_one(tmp_path: Path) -> None:
    write(tmp_path, Entry("a", "ok"), shard="1/2")
    write(tmp_path, Entry("b", "ok"), shard="2/2")
    assert sorted(manifest.read(tmp_path).good) == ["a", "b"]


def test_outputs_are_named_relative_to_the_folder(tmp_path: Path) -> None:
    assert manifest.place_in(tmp_path, tmp_path / "x" / ".." / "y" / "a.png") == "y/a.png"
    assert manifest.place_in(tmp_path / "x", tmp_path / "a.png") == (tmp_path / "a.png").as_posix()


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
