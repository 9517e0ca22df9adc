"""Shots: frames that are there, shards, and where the manifest goes."""

from pathlib import Path

import pytest

from mdn.errors import UsageError
from mdn.jobs.job import Shard
from mdn.renders.sequence import plan_sequence


@pytest.fixture
def sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    for frame in range(1, 7):
        Path(f"in.{frame:02}.exr").touch()
    return "in.##.exr"


def test_a_frame_that_is_there_stops_only_itself(sequence: str) -> None:
    Path("out.02.exr").touch()
    planned = plan_sequence([sequence], "out.##.exr", None)
    assert planned is not None
    problems = [str(job.problem) for job in planned.jobs if job.problem is not None]
    assert len(planned.jobs) == 6
    assert len(problems) == 1
    assert problems[0].startswith("in.02.exr: out.02.exr exists already")


def test_all_frames_that_are_there_are_refused(sequence: str) -> None:
    for frame in range(1, 7):
        Path(f"out.{frame:02}.exr").touch()
    with pytest.raises(UsageError, match="exists already"):
        plan_sequence([sequence], "out.##.exr", None)


def test_shards_share_the_frames_and_their_folder(sequence: str) -> None:
    parts = [
        plan_sequence([sequence], "new/out.##.exr", None, shard=Shard(index, 8))
        for index in range(1, 9)
    ]
    names = [job.name for part in parts if part is not None for job in part.jobs]
    assert sorted(names) == [f"in.{frame:02}.exr" for frame in range(1, 7)]
    assert {(part.folder, part.whole) for part in parts if part} == {(Path("new"), 6)}
