"""Neighbours in time and depth, from file to file."""

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from scipy import ndimage

import mdn
from mdn.commands.denoise import denoise_share, prepare, run
from mdn.errors import UsageError
from mdn.jobs.job import BatchResult, Job, Shard, Unheard
from mdn.pipeline.neighbours import indices
from mdn.renders.sequence import plan_sequence
from mdn.stacks import blocks
from mdn.stacks.planes import PlaneSelection
from tests.commands.tools import request
from tests.jobs.test_running import Recorder

SIDE, FRAMES = 128, 5


def scene(seed: int) -> np.ndarray:
    """(SIDE, SIDE) photons, as optics blur them."""
    field = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    field = ndimage.gaussian_filter(field, 3, mode="wrap")
    return np.asarray(40 * (1 + field / np.abs(field).max()))


def counted(light: np.ndarray, seed: int = 0) -> np.ndarray:
    """Photons (planes, H, W) as a camera counts them, uint16."""
    rng = np.random.default_rng(seed)
    noisy = 4 * rng.poisson(light) + 100 + 3 * rng.standard_normal(light.shape)
    return np.rint(noisy).clip(0, 65535).astype(np.uint16)


def drifting(step: int = 2) -> np.ndarray:
    return np.stack([np.roll(scene(1), step * t, 1) for t in range(FRAMES)])


def error(result: np.ndarray, light: np.ndarray) -> float:
    """Root mean square, in photons."""
    return float(np.sqrt((((result.astype(float) - 100) / 4 - light) ** 2).mean()))


def series(path: Path, pixels: np.ndarray, axes: str = "TYX", **more: Any) -> Path:
    tifffile.imwrite(path, pixels, metadata={"axes": axes}, **more)
    return path


def denoised(path: Path, target: Path, report: Any = None, **options: Any) -> BatchResult:
    asked = request(**{"encoding": "counts"} | options)
    result = run([Job(path, target, path.name)], asked, report or Unheard())
    assert result.exit_code == 0, result.outcomes[0].error
    return result


def pixels_of(path: Path, tmp_path: Path, **options: Any) -> np.ndarray:
    target = tmp_path / f"{len(list(tmp_path.iterdir()))}.ome.tif"
    denoised(path, target, **options)
    return np.asarray(tifffile.imread(target))


def test_times_help_one_another_by_default_and_slices_where_that_is_said(tmp_path: Path) -> None:
    light = drifting()
    times = series(tmp_path / "t.ome.tif", counted(light))
    slices = series(tmp_path / "z.ome.tif", counted(light), "ZYX")
    alone = error(pixels_of(times, tmp_path, neighbours=0), light)
    assert error(pixels_of(times, tmp_path), light) < 0.9 * alone
    assert error(pixels_of(slices, tmp_path), light) == alone
    together = pixels_of(slices, tmp_path, neighbours=2)
    assert np.array_equal(together, pixels_of(times, tmp_path, neighbours=2))


def test_what_is_done_is_said(tmp_path: Path) -> None:
    path = series(tmp_path / "a.ome.tif", counted(drifting()))
    lines: Any = denoised(path, tmp_path / "b.ome.tif").outcomes[0].details["summary"]
    assert lines[1].startswith("neighbouring planes help, 3 on each side: ")
    notes = Recorder()
    single = series(tmp_path / "c.ome.tif", counted(drifting())[0], "YX")
    denoised(single, tmp_path / "d.ome.tif", notes, neighbours=2)
    assert any(line.startswith("--neighbours is for") for line in notes.said)


def test_unrelated_planes_come_back_as_plane_by_plane(tmp_path: Path) -> None:
    path = series(tmp_path / "a.ome.tif", counted(np.stack([scene(s) for s in range(FRAMES)])))
    alone = pixels_of(path, tmp_path, neighbours=0)
    assert np.array_equal(pixels_of(path, tmp_path, neighbours=3), alone)


def test_one_plane_among_others_disturbs_nothing(tmp_path: Path) -> None:
    light = np.stack([scene(1)] * FRAMES)
    light[2] = scene(7)
    path = series(tmp_path / "a.ome.tif", counted(light))
    alone = error(pixels_of(path, tmp_path, neighbours=0)[2], light[2])
    assert error(pixels_of(path, tmp_path)[2], light[2]) < 1.01 * alone


def test_a_dye_that_bleaches(tmp_path: Path) -> None:
    light = 3 * np.stack([scene(1) * 0.9**t for t in range(FRAMES)])
    path = series(tmp_path / "a.ome.tif", counted(light))
    alone = error(pixels_of(path, tmp_path, neighbours=0), light)
    together = pixels_of(path, tmp_path)
    assert error(together, light) < 0.9 * alone
    brightness = (together.astype(float).mean((1, 2)) - 100) / 4
    assert brightness == pytest.approx(light.mean((1, 2)), rel=0.01)


def test_planes_that_are_not_chosen_help_all_the_same(tmp_path: Path) -> None:
    path = series(tmp_path / "a.ome.tif", counted(drifting()))
    whole = pixels_of(path, tmp_path)
    one = pixels_of(path, tmp_path, planes=PlaneSelection(t="2"))
    assert np.array_equal(one[2], whole[2])
    assert np.array_equal(one[[0, 1, 3, 4]], tifffile.imread(path)[[0, 1, 3, 4]])


def test_channels_and_slices_have_times_of_their_own(tmp_path: Path) -> None:
    first, second = counted(drifting()), counted(drifting(3)[::-1], 1)
    path = series(tmp_path / "a.ome.tif", np.stack([first, second], 1), "TCYX")
    alone = series(tmp_path / "b.ome.tif", second)
    both = pixels_of(path, tmp_path)
    assert np.array_equal(both[:, 1], pixels_of(alone, tmp_path))


def test_tiles_agree_with_the_whole(tmp_path: Path) -> None:
    light = np.tile(drifting(), (1, 1, 8))
    path = series(tmp_path / "a.ome.tif", counted(light), tile=(64, 64))
    one = PlaneSelection(t="2")
    tiled, whole = (
        pixels_of(path, tmp_path, tile=tile, planes=one)[2].astype(int) for tile in (16, 2048)
    )
    assert np.abs(tiled - whole).max() <= 1
    assert (whole != pixels_of(path, tmp_path, planes=one, neighbours=0)[2]).any()


def test_no_number_of_a_neighbour_spoils_a_plane(tmp_path: Path) -> None:
    pixels = counted(drifting()).astype(np.float32)
    pixels[1, 40:60, 40:60] = np.nan
    path = series(tmp_path / "a.ome.tif", pixels)
    after = pixels_of(path, tmp_path)
    assert np.array_equal(np.isnan(after), np.isnan(pixels))


def test_shards_read_the_planes_beside_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "PIXELS", 64)
    monkeypatch.setattr(blocks, "ROWS", 64)
    path = series(tmp_path / "a.ome.tif", counted(drifting()), tile=(32, 48))
    whole, target = pixels_of(path, tmp_path), tmp_path / "b.ome.tif"
    for index in (2, 1, 3):
        batch = prepare(request(encoding="counts"), None, with_std=False)
        denoise_share(batch, Shard(index, 3), Job(path, target, path.name), Unheard())
    assert np.array_equal(tifffile.imread(target), whole)


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_frames_of_a_sequence_whatever_shard_they_are_in(tmp_path: Path, suffix: str) -> None:
    light = drifting()
    noisy = counted(light)
    for number, frame in enumerate(noisy):
        name = tmp_path / f"shot.{number:04d}.{suffix}"
        tifffile.imwrite(name, frame) if suffix == "tif" else iio.imwrite(name, frame)
    read = tifffile.imread if suffix == "tif" else iio.imread
    pattern = str(tmp_path / f"shot.####.{suffix}")

    def results(folder: str, shards: list[Shard | None], **options: Any) -> np.ndarray:
        for shard in shards:
            plan = plan_sequence([pattern], f"{tmp_path / folder}/", None, shard=shard)
            result = run(plan.jobs, request(encoding="counts", **options), Unheard())
            assert not result.count("failed")
        return np.stack([read(p) for p in sorted((tmp_path / folder).glob(f"*.{suffix}"))])

    alone, together = results("alone", [None], neighbours=0), results("together", [None])
    assert error(together, light) < 0.9 * error(alone, light)
    shards: list[Shard | None] = [Shard(1, 2), Shard(2, 2)]
    assert np.array_equal(results("shards", shards), together)


def test_arrays_have_times_too() -> None:
    light = drifting()
    noisy = counted(light)
    alone = mdn.denoise(noisy, device="cpu", axes="TYX", encoding="counts", neighbours=0)
    together = mdn.denoise(noisy, device="cpu", axes="TYX", encoding="counts")
    assert error(together, light) < 0.9 * error(alone, light)
    slices = mdn.denoise(noisy, device="cpu", axes="ZYX", encoding="counts")
    assert np.array_equal(slices, alone)


def test_no_plane_has_fewer_neighbours_than_others() -> None:
    assert [indices(place, 7, 2) for place in (0, 1, 3, 6)] == [
        [1, 2, 3, 4], [0, 2, 3, 4], [1, 2, 4, 5], [2, 3, 4, 5],
    ]  # fmt: skip
    assert (indices(1, 3, 2), indices(0, 1, 2)) == ([0, 2], [])


def test_a_share_without_frames_is_no_error(tmp_path: Path) -> None:
    """Which share a frame is in follows from its path, so that one share may have all of them."""
    for number in range(2):
        iio.imwrite(tmp_path / f"shot.{number:04d}.png", np.zeros((8, 8), np.uint8))
    (tmp_path / "out").mkdir()
    pattern, output = str(tmp_path / "shot.####.png"), f"{tmp_path / 'out'}/"
    shards = [Shard(number, 64) for number in range(1, 65)]
    plans = [plan_sequence([pattern], output, None, shard=shard) for shard in shards]
    owners = {n for n, plan in enumerate(plans) if plan is not None and plan.jobs}
    for number in range(2):
        iio.imwrite(tmp_path / "out" / f"shot.{number:04d}.png", np.zeros((8, 8), np.uint8))
    for number, shard in enumerate(shards):
        if number in owners:
            with pytest.raises(UsageError, match="exists already"):
                plan_sequence([pattern], output, None, shard=shard)
        else:
            empty = plan_sequence([pattern], output, None, shard=shard)
            assert empty.jobs == ()
