"""`mdn denoise` on stacks: which planes, what is left alone, what is said, files that lie."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from mdn.cli.app import app
from mdn.commands.denoise import run
from mdn.errors import UsageError
from mdn.jobs.job import BatchResult, Job, Unheard
from mdn.stacks.planes import PlaneSelection, numbers
from tests.commands.tools import request
from tests.io.tiff.test_stack import directories, pyramid
from tests.jobs.test_running import Recorder


def denoised(path: Path, target: Path, **options: Any) -> BatchResult:
    asked = request(**{"model": "unittest", "tile": 1} | options)
    return run([Job(path, target, path.name)], asked, Unheard())


def cells(*shape: int, gain: float = 3.0, pedestal: float = 100.0, seed: int = 0) -> np.ndarray:
    """Bright discs on a pedestal, with a camera's noise, uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    clean = 10 + 60 * ((y // 24 + x // 24) % 2)
    photons = rng.poisson(np.broadcast_to(clean, shape))
    return np.rint(photons * gain + pedestal + 4 * rng.standard_normal(shape)).astype(np.uint16)


def through(
    folder: Path, pixels: np.ndarray, how: dict[str, Any] | None = None, report: Any = None,
    **options: Any,
) -> tuple[np.ndarray, Any]:  # fmt: skip
    """Pixels through a TIFF that is written so and `mdn denoise`: what comes back; the outcome."""
    path, target = folder / "a.ome.tif", folder / "b.ome.tif"
    target.unlink(missing_ok=True)
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", "ome": False} | (how or {}))
    asked = request(**{"model": "unittest", "tile": 1} | options)
    result = run([Job(path, target, path.name)], asked, report or Unheard())
    assert result.exit_code == 0, result.outcomes[0].error
    return np.asarray(tifffile.imread(target)), result.outcomes[0]


def stack(path: Path, **options: Any) -> np.ndarray:
    pixels = cells(2, 3, 2, 64, 80)
    given = {"ome": True, "metadata": {"axes": "TZCYX"}, "photometric": "minisblack"} | options
    tifffile.imwrite(path, pixels, **given)
    return pixels


def test_planes_that_are_not_chosen_are_copied_bit_for_bit(tmp_path: Path) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    before = stack(path, compression="zlib")
    result = denoised(path, target, planes=PlaneSelection(channels="1", z="0,2", t="1"))
    details = result.outcomes[0].details
    assert result.exit_code == 0, result.outcomes[0].error
    assert (details["axes"], details["planes"], details["encoding"]) == ("TZCYX", 2, "counts")
    after = tifffile.imread(target)
    changed = (after != before).any((-1, -2))
    assert np.argwhere(changed).tolist() == [[1, 0, 1], [1, 2, 1]]
    assert directories(path) == directories(target)


def test_tiles_of_a_stack_agree_with_the_whole(tmp_path: Path) -> None:
    pixels, how = cells(2, 300, 280), {"tile": (64, 64)}
    tiled, whole = (through(tmp_path, pixels, how, tile=tile)[0].astype(int) for tile in (1, 2048))
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != pixels).any()


def test_strength_0_gives_the_file_itself(tmp_path: Path) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    pyramid(path)
    denoised(path, target, strength=0.0)
    assert path.read_bytes() == target.read_bytes()


def test_strength_between_is_a_mix_of_samples(tmp_path: Path) -> None:
    before = cells(64, 80)
    full, half = (through(tmp_path, before, strength=share)[0].astype(float) for share in (1, 0.5))
    assert np.abs(half - (before + full) / 2).max() <= 1


def test_samples_that_are_no_numbers_are_counted_and_said(tmp_path: Path) -> None:
    pixels, notes = cells(2, 64, 80, gain=1).astype(np.float32), Recorder()
    pixels[0, 5, 6:9], pixels[1, 60, 70] = np.nan, np.inf
    after, _ = through(tmp_path, pixels, report=notes, tile=16)
    assert "4 samples are NaN or infinite, and stay so" in notes.said
    assert np.array_equal(np.isfinite(after), np.isfinite(pixels))


def test_a_line_a_channel_says_what_was_done(tmp_path: Path) -> None:
    noisy, empty = cells(3, 64, 80, gain=2.0, pedestal=50.0), np.zeros((3, 64, 80), np.uint16)
    how = {"metadata": {"axes": "ZCYX"}, "ome": True}
    lines = through(tmp_path, np.stack([noisy, empty], 1), how)[1].details["summary"]
    assert re.fullmatch(r"channel 0: noise [0-9.]+ at brightness [0-9.]+: removed", lines[0])
    assert lines[1:] == ["channel 1: no noise found: areas of exactly one value, unchanged"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_raw_mosaic_is_named(tmp_path: Path, dtype: type) -> None:
    page, notes = np.random.default_rng(0).normal(60, 3, (96, 96)), Recorder()
    page[::2, 1::2] *= 1.8
    page[1::2, ::2] *= 1.8
    through(tmp_path, page.astype(dtype), report=notes, tile=None)
    assert "raw mosaic" in str(notes.said)


@pytest.mark.parametrize(
    ("photons", "dtype", "told"),
    [(2, np.uint16, True), (2, np.float32, False), (200, np.uint16, False), (0, np.uint16, False)],
)
def test_counts_too_few_for_whole_numbers_are_named(
    tmp_path: Path, photons: int, dtype: type, told: bool
) -> None:
    page = np.random.default_rng(0).poisson(photons, (96, 96)).astype(dtype)
    _, outcome = through(tmp_path, page)
    assert ("32-bit floats" in str(outcome.details.get("summary"))) is told


def test_every_plane_of_pictures_to_look_at_is_denoised(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).normal(120, 15, (3, 64, 80)).astype(np.uint8)
    after, _ = through(tmp_path, pages, model="photo-fast", encoding="display")
    assert all(page.std() < 7 for page in after), [page.std() for page in after]


def test_what_is_transparent_in_a_tiled_picture_tells_nothing_of_its_noise(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(120, 20, (192, 256, 4)).clip(0, 255).astype(np.uint8)
    page[..., 3] = 255
    page[:, :128] = 0
    tiled = {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (64, 64)}
    after, outcome = through(tmp_path, page, tiled, model="photo-fast")
    sigma = outcome.details["summary"][0].removeprefix("sigma ").split(":")[0]
    assert 17 < float(sigma) < 23
    assert np.array_equal(after[..., 3], page[..., 3])


def test_samples_of_pictures_that_are_no_numbers_stay_and_harm_no_others(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(0.5, 0.08, (160, 192, 3)).astype(np.float32)
    page[:20, :30], page[80, 80] = np.nan, np.inf
    how = {"photometric": "rgb", "tile": (64, 64)}
    after, known = through(tmp_path, page, how, model="photo-fast")[0], np.isfinite(page)
    assert np.array_equal(after[~known], page[~known], equal_nan=True)
    assert after[known].std() < 0.03


def test_a_stack_that_appeared_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, cells(64, 80))
    target.write_bytes(b"theirs")
    result = denoised(path, target)  # planned when it was not there yet
    assert "was written by another run" in result.outcomes[0].error
    assert target.read_bytes() == b"theirs"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.float32, np.float64])
def test_every_depth_is_kept(tmp_path: Path, dtype: Any) -> None:
    pixels = cells(2, 64, 80, gain=1).astype(dtype)
    if np.dtype(dtype).kind == "f":
        pixels = pixels / 1e4
        pixels[0, 5, 6] = np.nan
    if dtype is np.int16:
        pixels -= 300
    after, _ = through(tmp_path, pixels)
    assert (after.dtype, np.isnan(after[0, 5, 6])) == (dtype, np.dtype(dtype).kind == "f")
    same = np.isfinite(after)
    assert abs(float(after[same].mean()) / float(pixels[same].mean()) - 1) < 0.1
    assert (after != pixels).mean() > 0.3


def test_nothing_is_clipped_that_was_not(tmp_path: Path) -> None:
    noisy = np.random.default_rng(0).normal(250, 12, (3, 64, 64))
    pixels = np.clip(noisy, 0, 255).astype(np.uint8)
    assert not ((through(tmp_path, pixels)[0] == 255) & (pixels < 255)).any()


def test_measured_or_shown_follows_the_samples(tmp_path: Path) -> None:
    gray8, gray16 = cells(64, 64, gain=0.5, pedestal=10).astype(np.uint8), cells(64, 64)
    colour, tiled = np.stack([gray8] * 3, -1), {"photometric": "rgb", "tile": (32, 32)}
    for pixels, how, chosen, expected in (
        (gray16, {}, "auto", "counts"),
        (gray8, {"imagej": True}, "auto", "counts"),
        (gray8, {"metadata": None}, "auto", "counts"),
        (gray8, {"metadata": None}, "counts", "counts"),
        (gray16, {}, "display", "display"),
        (colour, tiled, "auto", "display"),
    ):
        _, outcome = through(tmp_path, pixels, how, encoding=chosen)
        assert outcome.details["encoding"] == expected


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (PlaneSelection(z="7"), "--z 7: choose numbers from 0 to 2"),
        (PlaneSelection(axes="QZCYX", t="0"), "no axis T among its QZCYX"),
    ],
)
def test_a_plane_that_is_not_there_is_said(
    tmp_path: Path, choice: PlaneSelection, said: str
) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    stack(path)
    outcome = denoised(path, target, planes=choice).outcomes[0]
    assert outcome.status == "failed"
    assert said in outcome.error
    assert not target.exists()


def test_planes_are_for_stacks(tmp_path: Path, shared_data: Path) -> None:
    photo = next((shared_data / "test" / "fmd" / "noisy").iterdir())
    outcome = denoised(photo, tmp_path / "b.png", planes=PlaneSelection(z="0")).outcomes[0]
    assert "--z is for stacks" in outcome.error


def test_numbers_and_ranges() -> None:
    assert numbers("0, 2-4,9", "--z") == {0, 2, 3, 4, 9}
    for wrong in ("", "a", "3-1", "1-", "-1", "1,,2"):
        with pytest.raises(UsageError, match="--z"):
            numbers(wrong, "--z")


WORKER = """
import json, resource, sys, time
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from mdn.cli.app import main
resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
sys.argv = ["mdn", "denoise", *sys.argv[2:]]
main()
"""


def test_hostile_tiffs_end_in_one_line_each(shared_data: Path, tmp_path: Path) -> None:
    paths = sorted((shared_data / "hostile" / "tiff").iterdir())
    paths += [
        p for p in (shared_data / "hostile" / "mixed").iterdir() if p.suffix.startswith(".ti")
    ]
    inbox = tmp_path / "in"
    inbox.mkdir()
    for path in paths:
        shutil.copy(path, (inbox / path.name).with_suffix(".tif"))
    done = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps(sys.path), str(inbox),
         "-o", str(tmp_path / "out"), "--model", "unittest", "--json"],
        capture_output=True, text=True, timeout=120, check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    files = json.loads(done.stdout)["files"]
    assert len(files) == len(list(inbox.iterdir()))
    for each in files:
        assert each["seconds"] < 10, each
        assert (each["status"] == "ok") != bool(each["error"])
        assert "\n" not in (each["error"] or "")
        if each["status"] != "ok":
            assert not Path(each["output"]).exists()


def test_smooth_noise_is_taken_apart_in_tiles_as_in_the_whole(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).normal(0, 120, (502, 402))
    smooth = sum(drawn[i : i + 500, j : j + 400] for i in range(3) for j in range(3)) / 9
    pixels, how = np.rint(1000 + smooth).astype(np.uint16), {"model": "photo", "encoding": "counts"}
    tiled, outcome = through(tmp_path, pixels, **how)
    assert outcome.details["noise"]["0"]["spacing"] == 3, outcome
    assert tiled.std() < smooth.std() / 4
    whole, _ = through(tmp_path, pixels, tile=4096, **how)
    assert np.abs(tiled.astype(float) - whole).max() <= 0.05 * smooth.std()


def test_what_stores_need_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)  # as where it is not installed
    (tmp_path / "a.ome.zarr").mkdir()
    outcome = denoised(tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr").outcomes[0]
    assert "needs zarr; pip install 'mdn[zarr]'" in outcome.error
    assert not (tmp_path / "b.ome.zarr").exists()


def test_empty_first_planes_do_not_speak_for_a_stack(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    planes = np.zeros((3, 64, 80), np.float32)
    planes[1:] = 100 + 10 * random.normal(size=(2, 64, 80))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="minisblack")
    options = ["denoise", "--encoding", "display", str(tmp_path / "a.tif")]
    result = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "b.tif")])
    assert result.exit_code == 0
    after = tifffile.imread(tmp_path / "b.tif")
    np.testing.assert_array_equal(after[0], planes[0])
    assert (after[1] != planes[1]).mean() > 0.9
    assert "removed" in result.output
    assert "no noise found" not in result.output
