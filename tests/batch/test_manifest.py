"""The manifest: its lines, what a crash leaves of them, and how several are read as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mdn.batch import manifest
from mdn.batch.manifest import Entry
from mdn.batch.recording import Journal, this_run
from mdn.errors import FileError, UsageError

RUN = this_run("denoise", ("--strength", "0.5"), "1.0")


def write(folder: Path, *entries: Entry, shard: str = "") -> Path:
    run = this_run("denoise", (), "1.0", shard)
    with Journal(manifest.path_for(folder, shard), run) as journal:
        for entry in entries:
            journal.add(entry)
    return journal.path


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path) -> None:
    odd = os.fsdecode(b"a\n\xf0\x9f\x98\x80\xff.png")  # a line break, an emoji, a byte of no text
    entry = Entry(odd, "ok", f"/in/{odd}", 12, 34, "ab", "cd", seconds=1.5, at=7.0)
    write(tmp_path, entry)
    assert manifest.read(tmp_path).entries == {odd: entry}


def test_the_last_line_about_an_output_counts(tmp_path: Path) -> None:
    write(tmp_path, Entry("a", "started", at=1.0), Entry("a", "ok", at=2.0))
    assert manifest.read(tmp_path).entries["a"].status == "ok"


def test_half_a_line_is_passed_over_and_the_next_one_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path, Entry("a", "started", at=1.0), Entry("a", "ok", at=2.0))
    path.write_bytes(path.read_bytes()[:-20])  # as a kill in the middle of a write leaves it
    assert manifest.read(tmp_path).entries["a"].status == "started"
    write(tmp_path, Entry("b", "ok", at=3.0))
    found = manifest.read(tmp_path)
    assert {name: entry.status for name, entry in found.entries.items()} == {
        "a": "started",
        "b": "ok",
    }


def test_what_is_no_line_of_a_manifest_is_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, Entry("a", "ok"))
    path.write_bytes(b'[1]\n{"x": 1}\nnonsense\n\xff\n' + path.read_bytes())
    assert list(manifest.read(tmp_path).entries) == ["a"]


def test_keys_of_a_later_version_are_left_aside(tmp_path: Path) -> None:
    path = manifest.path_for(tmp_path)
    path.write_bytes(manifest.line({"output": "a", "status": "ok", "invented": 1}))
    assert manifest.read(tmp_path).entries["a"] == Entry("a", "ok")


def test_the_manifests_of_shards_are_read_as_one(tmp_path: Path) -> None:
    write(tmp_path, Entry("a", "ok"), shard="1/2")
    write(tmp_path, Entry("b", "ok"), shard="2/2")
    found = manifest.read(tmp_path)
    assert (sorted(found.entries), found.shards) == (["a", "b"], ("1/2", "2/2"))


def test_outputs_are_named_relative_to_the_folder(tmp_path: Path) -> None:
    assert manifest.place_in(tmp_path, tmp_path / "x" / ".." / "y" / "a.png") == "y/a.png"
    assert manifest.place_in(tmp_path / "x", tmp_path / "a.png") == (tmp_path / "a.png").as_posix()


def test_a_store_is_hashed_with_all_its_files(tmp_path: Path) -> None:
    store = tmp_path / "a.zarr"
    (store / "c").mkdir(parents=True)
    (store / "zarr.json").write_text("{}")
    (store / "c" / "0").write_bytes(b"123")
    before = manifest.digest(store), manifest.stamp(store)
    assert before[1][0] == 5
    (store / "c" / "0").write_bytes(b"124")
    assert manifest.digest(store) != before[0]


def test_a_second_run_is_kept_out_and_told_of_the_first(tmp_path: Path) -> None:
    path = manifest.path_for(tmp_path)
    with Journal(path, RUN):
        with pytest.raises(UsageError, match=rf"another run .* \(process {os.getpid()} of .* on "):
            Journal(path, RUN)
        Journal(manifest.path_for(tmp_path, "1/2"), RUN).close()  # a shard has its own
    Journal(path, RUN).close()


def test_a_manifest_that_cannot_be_written_names_itself(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"mdn-manifest\.jsonl: "):
        Journal(manifest.path_for(tmp_path / "file"), RUN)
