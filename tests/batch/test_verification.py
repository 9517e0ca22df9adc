"""What the manifests of a folder say in figures, and how an output is made again."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdn.batch.manifest import Entry, Manifest, Run
from mdn.batch.verification import command_for, load, made_by, summarize
from mdn.errors import NothingDoneError


def manifest(*entries: Entry, shards: tuple[str, ...] = ()) -> Manifest:
    return Manifest(Path("out"), {each.output: each for each in entries}, {}, shards, (Path("m"),))


def run(command: str, *arguments: str) -> Run:
    return Run(command, arguments, "hash", "1.0")


def test_a_summary_counts_and_names_what_is_not_done() -> None:
    entries = [
        Entry("a", "ok", seconds=1.5),
        Entry("b", "failed", reason="damaged", seconds=0.5),
        Entry("c", "started"),
    ]
    found = summarize(manifest(*entries))
    assert (found.ok, found.failed, found.unfinished, found.seconds) == (1, 1, 1, 2.0)
    assert [each.output for each in found.problems] == ["b", "c"]
    assert not found.whole
    assert summarize(manifest(entries[0])).whole


def test_missing_shards_are_named_in_the_order_of_their_numbers() -> None:
    found = summarize(manifest(Entry("a", "ok"), shards=("10/11", "2/11", "1/11")))
    assert found.shards == ("1/11", "2/11", "10/11")
    assert found.missing == tuple(f"{index}/11" for index in (3, 4, 5, 6, 7, 8, 9, 11))
    assert not found.whole


def test_shards_of_two_sizes_miss_none() -> None:
    """The work was gone on with in another number of shards."""
    assert summarize(manifest(Entry("a", "ok"), shards=("1/2", "1/3"))).missing == ()


def test_a_second_output_is_not_written_again() -> None:
    asked = run("denoise", "--passes", "2", "--save-std", "std/", "--strength", "0.5")
    command = command_for(asked, Entry("a.png", "ok", "/in/-a.png"), Path("new/a.png"))
    assert command == [
        *("denoise", "--passes", "2", "--strength", "0.5"),
        *("-q", "-o", "new/a.png", "--", "/in/-a.png"),
    ]


def test_a_later_draw_is_made_with_those_before_it() -> None:
    asked, entry = run("noise", "--type", "isp"), Entry("a_003.png", "ok", "/in/a.png", draw=3)
    command = command_for(asked, entry, Path("new/x.png"))
    assert command[3:8] == ["--count", "3", "-q", "-o", "new/x_{draw:03}.png"]
    assert made_by(Path("new/x.png"), asked, entry) == Path("new/x_003.png")


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NothingDoneError, match="name the output folder of a batch"):
        load(tmp_path)
