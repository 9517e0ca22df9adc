"""Frames of a sequence: names, plans, one exposure for all, blending along motion vectors."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mdn.commands.denoise import run
from mdn.errors import UsageError
from mdn.io import exr
from mdn.jobs.job import Shard
from mdn.renders import RenderOptions
from mdn.renders.sequence import is_pattern, numbered, numbers, on_disk, plan_sequence
from tests.commands.tools import request
from tests.jobs.test_running import Recorder
from tests.renders import scenes

STEP = 2.0  # pixels a frame


def denoise(folder: Path, output: str, frames: str | None = None, **options: object):
    planned = plan_sequence([str(folder / "in.####.exr")], str(folder / output), frames)
    asked = RenderOptions(sequence=True, **options)
    return run(planned.jobs, request("photo", renders=asked), Recorder())


def light(path: Path) -> np.ndarray:
    part = exr.read(path).parts[0]
    return np.stack([part[key] for key in "RGB"], -1).astype(np.float64)


def test_frame_numbers() -> None:
    assert (numbers("1-3,7"), numbers("10-20x5,1")) == ([1, 2, 3, 7], [1, 10, 15, 20])
    assert numbered("a/f.####.exr", 7) == "a/f.0007.exr"
    assert numbered("a/f.#.exr", 123) == "a/f.123.exr"
    for wrong in ("", "3-1", "a", "1-9x0", "1--2", "1-999999999"):
        with pytest.raises(UsageError):
            numbers(wrong)


@pytest.mark.parametrize("name", ["f.####.exr", "f.@@@@.exr", "f.%04d.exr", "f.$F4.exr"])
def test_patterns_of_other_programs(tmp_path: Path, name: str) -> None:
    for number in (2, 10):
        (tmp_path / f"f.{number:04d}.exr").touch()
    pattern = str(tmp_path / name)
    assert is_pattern(pattern)
    assert on_disk(pattern) == [2, 10]
    output = str(tmp_path / name.replace("f.", "clean."))
    planned = plan_sequence([pattern], output, None)
    assert [job.target for job in planned.jobs] == [
        tmp_path / "clean.0002.exr",
        tmp_path / "clean.0010.exr",
    ]
    assert not is_pattern("photo@2x.png")
    assert not is_pattern("100%done.exr")


@pytest.mark.parametrize("glob", [True, False])
def test_files_are_a_sequence_where_motion_is_followed(tmp_path: Path, glob: bool) -> None:
    names = [tmp_path / f"v2_shot.{number:04d}.exr" for number in (9, 10, 11)]
    for name in names:
        name.touch()
    inputs = [str(tmp_path / "v2_shot.*.exr")] if glob else [str(name) for name in names[:2]]
    output = str(tmp_path / "clean.####.exr")
    planned = plan_sequence(inputs, output, None, motion=True)
    assert [job.source for job in planned.jobs] == (names if glob else names[:2])
    assert plan_sequence(inputs, f"{tmp_path}/out/", None) is None
    (tmp_path / "other.exr").touch()
    assert plan_sequence([*inputs, str(tmp_path / "other.exr")], output, None, motion=True) is None


def test_planning(tmp_path: Path) -> None:
    (tmp_path / "in.0001.exr").touch()
    assert plan_sequence(["a.exr"], None, None) is None
    with pytest.raises(UsageError, match="pattern"):
        plan_sequence(["a.exr"], None, "1-2")
    with pytest.raises(UsageError, match="there are no such frames"):
        plan_sequence([str(tmp_path / "no.##.exr")], None, None)
    with pytest.raises(UsageError, match="####"):
        plan_sequence([str(tmp_path / "in.####.exr")], str(tmp_path / "one.exr"), None)
    planned = plan_sequence([str(tmp_path / "in.####.exr")], str(tmp_path / "o.##.exr"), "1-2")
    targets = [job.target for job in planned.jobs]
    assert targets == [tmp_path / "o.01.exr", None]
    assert planned.jobs[1].problem is not None


def test_one_exposure_for_a_shot(tmp_path: Path) -> None:
    for number, brightness in enumerate((1.0, 4.0, 0.5), start=1):
        planes = scenes.planes("", brightness * scenes.noisy(scenes.truth(), number))
        scenes.file(tmp_path / f"in.{number:04d}.exr", planes)
    result = denoise(tmp_path, "out.####.exr")
    assert result.exit_code == 0
    exposures = {outcome.details["exposure"] for outcome in result.outcomes}
    assert len(exposures) == 1
    told = ["summary" in outcome.details for outcome in result.outcomes]
    assert told == [True, False, False]  # that there are no guides
    part = denoise(tmp_path, "alone.####.exr", "2").outcomes[0].details["exposure"]  # its own shot
    assert part not in exposures


@pytest.fixture(scope="module")
def pan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four frames of a pan, denoised with and without the frame before."""
    folder = tmp_path_factory.mktemp("pan")
    for number in range(1, 5):
        shift = STEP * number
        scenes.scene(folder / f"in.{number:04d}.exr", seed=number, shift=shift, motion=-STEP)
    assert denoise(folder, "plain.####.exr").exit_code == 0
    assert denoise(folder, "blend.####.exr", motion=True).exit_code == 0
    return folder


def flicker(folder: Path, name: str) -> float:
    """The change of the error from frame to frame, in the world, not on the screen."""
    step = int(STEP)
    errors = [
        light(folder / f"{name}.{number:04d}.exr") - scenes.truth(STEP * number)
        for number in range(2, 5)
    ]
    pairs = pairwise(errors)
    return float(np.mean([np.mean((b[:, :-step] - a[:, step:]) ** 2) for a, b in pairs]))


def test_blending_calms_the_shot_and_cleans_it(pan: Path) -> None:
    assert flicker(pan, "blend") < 0.7 * flicker(pan, "plain")
    truth = scenes.truth(STEP * 4)
    plain = np.mean((light(pan / "plain.0004.exr") - truth) ** 2)
    blend = np.mean((light(pan / "blend.0004.exr") - truth) ** 2)
    assert blend < 0.9 * plain


def test_the_first_frame_is_helped_by_those_after_it(pan: Path) -> None:
    plain, blend = (light(pan / f"{name}.0001.exr") for name in ("plain", "blend"))
    truth = scenes.truth(STEP)
    assert np.mean((blend - truth) ** 2) < 0.9 * np.mean((plain - truth) ** 2)


def test_a_frame_hangs_on_the_files_around_it_not_on_what_was_done_before(pan: Path) -> None:
    """So a run that goes on after others were done (--resume) gives the same."""
    planned = plan_sequence([str(pan / "in.####.exr")], str(pan / "again.####.exr"), None)
    asked = request("photo", renders=RenderOptions(sequence=True, motion=True))
    for number in (3, 1):  # each in a run of its own, as shards and machines take them
        assert run([planned.jobs[number - 1]], asked, Recorder()).exit_code == 0
        once, again = (light(pan / f"{name}.{number:04d}.exr") for name in ("blend", "again"))
        assert np.array_equal(once, again)


def test_vectors_of_the_other_sense_do_as_well(pan: Path, tmp_path: Path) -> None:
    for number in range(1, 3):
        shift = STEP * number
        scenes.scene(tmp_path / f"in.{number:04d}.exr", seed=number, shift=shift, motion=STEP)
    denoise(tmp_path, "blend.####.exr", motion=True)
    ours, theirs = light(tmp_path / "blend.0002.exr"), light(pan / "blend.0002.exr")
    assert np.mean((ours - theirs) ** 2) < 2e-3


def test_motion_without_vectors_is_an_error(tmp_path: Path) -> None:
    scenes.scene(tmp_path / "in.0001.exr")
    result = denoise(tmp_path, "out.####.exr", motion=True)
    assert "no motion vectors" in result.outcomes[0].error


@pytest.fixture
def sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    for frame in range(1, 7):
        Path(f"in.{frame:02}.exr").touch()
    return "in.##.exr"


def test_a_frame_that_is_there_stops_only_itself(sequence: str) -> None:
    Path("out.02.exr").touch()
    planned = plan_sequence([sequence], "out.##.exr", None)
    problems = [str(job.problem) for job in planned.jobs if job.problem is not None]
    assert (len(planned.jobs), len(problems)) == (6, 1)
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
