"""`mdn denoise` on stacks: which planes, what is left alone, files that lie."""

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

from mdn.commands.denoise import run
from mdn.errors import UsageError
from mdn.jobs.job import BatchResult, Job
from mdn.stacks import PlaneSelection, numbers
from tests.commands.tools import request
from tests.io.tiff.test_stack import directories, pyramid


class Silent:
    def started(self, *_: object) -> None: ...
    def progress(self, *_: object) -> None: ...
    def note(self, *_: object) -> None: ...
    def finished(self, *_: object) -> None: ...


def denoised(path: Path, target: Path, **options: Any) -> BatchResult:
    asked = request(**{"model": "unittest", "tile": 1} | options)
    return run([Job(path, target, path.name)], asked, Silent())


def cells(*shape: int, gain: float = 3.0, pedestal: float = 100.0, seed: int = 0) -> np.ndarray:
    """Bright discs on a pedestal, with a camera's noise, uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    clean = 10 + 60 * ((y // 24 + x // 24) % 2)
    photons = rng.poisson(np.broadcast_to(clean, shape))
    return np.rint(photons * gain + pedestal + 4 * rng.standard_normal(shape)).astype(np.uint16)


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
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, cells(2, 300, 280), tile=(64, 64), photometric="minisblack")
    denoised(path, tmp_path / "b.tif")
    denoised(path, tmp_path / "c.tif", tile=2048)
    tiled, whole = (tifffile.imread(tmp_path / f"{x}.tif").astype(int) for x in "bc")
    assert np.abs(tiled - whole).max() <= 1
    assert (tiled != tifffile.imread(path)).any()


def test_strength_0_gives_the_file_itself(tmp_path: Path) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    pyramid(path)
    denoised(path, target, strength=0.0)
    assert path.read_bytes() == target.read_bytes()


def test_strength_between_is_a_mix_of_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, cells(64, 80))
    denoised(path, tmp_path / "b.tif")
    denoised(path, tmp_path / "c.tif", strength=0.5)
    before, full, half = (tifffile.imread(tmp_path / f"{x}.tif").astype(float) for x in "abc")
    assert np.abs(half - (before + full) / 2).max() <= 1


class Notes(Silent):
    """A report that remembers what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, job: Job, line: str) -> None:
        self.said.append(line)


def test_samples_that_are_no_numbers_are_counted_and_said(tmp_path: Path) -> None:
    path, notes = tmp_path / "a.tif", Notes()
    pixels = cells(2, 64, 80, gain=1).astype(np.float32)
    pixels[0, 5, 6:9], pixels[1, 60, 70] = np.nan, np.inf
    tifffile.imwrite(path, pixels, photometric="minisblack")
    run([Job(path, tmp_path / "b.tif", "a.tif")], request(model="unittest", tile=16), notes)
    assert "4 samples are NaN or infinite, and stay so" in notes.said
    after = tifffile.imread(tmp_path / "b.tif")
    assert np.array_equal(np.isfinite(after), np.isfinite(pixels))


def test_a_line_a_channel_says_what_was_done(tmp_path: Path) -> None:
    noisy, empty = cells(3, 64, 80, gain=2.0, pedestal=50.0), np.zeros((3, 64, 80), np.uint16)
    path = tmp_path / "a.ome.tif"
    pixels = np.stack([noisy, empty], 1)
    tifffile.imwrite(path, pixels, metadata={"axes": "ZCYX"}, photometric="minisblack")
    lines: Any = denoised(path, tmp_path / "b.ome.tif").outcomes[0].details["summary"]
    assert re.fullmatch(r"channel 0: noise [0-9.]+ at brightness [0-9.]+: removed", lines[0])
    assert lines[1:] == ["channel 1: no noise found: areas of exactly one value, unchanged"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_raw_mosaic_is_named(tmp_path: Path, dtype: type) -> None:
    page = np.random.default_rng(0).normal(60, 3, (96, 96))
    page[::2, 1::2] *= 1.8
    page[1::2, ::2] *= 1.8
    tifffile.imwrite(tmp_path / "a.tif", page.astype(dtype), photometric="minisblack")
    notes = Notes()
    run([Job(tmp_path / "a.tif", tmp_path / "b.tif", "a")], request(model="unittest"), notes)
    assert "raw mosaic" in str(notes.said)


@pytest.mark.parametrize(
    ("photons", "dtype", "told"),
    [(2, np.uint16, True), (2, np.float32, False), (200, np.uint16, False), (0, np.uint16, False)],
)
def test_counts_too_few_for_whole_numbers_are_named(
    tmp_path: Path, photons: int, dtype: type, told: bool
) -> None:
    page = np.random.default_rng(0).poisson(photons, (96, 96)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", page, photometric="minisblack")
    result = denoised(tmp_path / "a.tif", tmp_path / "b.tif")
    assert ("32-bit floats" in str(result.outcomes[0].details.get("summary"))) is told


def test_every_plane_of_pictures_to_look_at_is_denoised(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).normal(120, 15, (3, 64, 80)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    denoised(tmp_path / "a.tif", tmp_path / "b.tif", model="photo-fast", encoding="display")
    after = tifffile.imread(tmp_path / "b.tif")
    assert all(page.std() < 7 for page in after), [page.std() for page in after]


def test_what_is_transparent_in_a_tiled_picture_tells_nothing_of_its_noise(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(120, 20, (192, 256, 4)).clip(0, 255).astype(np.uint8)
    page[..., 3] = 255
    page[:, :128] = 0
    tiled = {"photometric": "rgb", "extrasamples": ["unassalpha"], "tile": (64, 64)}
    tifffile.imwrite(tmp_path / "a.tif", page, **tiled)
    result = denoised(tmp_path / "a.tif", tmp_path / "b.tif", model="photo-fast")
    lines: Any = result.outcomes[0].details["summary"]
    assert 17 < float(lines[0].removeprefix("sigma ").split(":")[0]) < 23
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif")[..., 3], page[..., 3])


def test_samples_of_pictures_that_are_no_numbers_stay_and_harm_no_others(tmp_path: Path) -> None:
    page = np.random.default_rng(0).normal(0.5, 0.08, (160, 192, 3)).astype(np.float32)
    page[:20, :30], page[80, 80] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", page, photometric="rgb", tile=(64, 64))
    result = denoised(tmp_path / "a.tif", tmp_path / "b.tif", model="photo-fast")
    assert result.exit_code == 0, result.outcomes[0].error
    after, known = tifffile.imread(tmp_path / "b.tif"), np.isfinite(page)
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
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    pixels = cells(2, 64, 80, gain=1).astype(dtype)
    if np.dtype(dtype).kind == "f":
        pixels = pixels / 1e4
        pixels[0, 5, 6] = np.nan
    if dtype is np.int16:
        pixels -= 300
    tifffile.imwrite(path, pixels, photometric="minisblack")
    result = denoised(path, target)
    assert result.exit_code == 0, result.outcomes[0].error
    after = tifffile.imread(target)
    assert after.dtype == dtype
    assert np.isnan(after[0, 5, 6]) == (np.dtype(dtype).kind == "f")
    same = np.isfinite(after)
    assert abs(float(after[same].mean()) / float(pixels[same].mean()) - 1) < 0.1
    assert (after != pixels).mean() > 0.3


def test_nothing_is_clipped_that_was_not(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    rng = np.random.default_rng(0)
    pixels = np.clip(rng.normal(250, 12, (3, 64, 64)), 0, 255).astype(np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    denoised(path, target)
    after = tifffile.imread(target)
    assert not ((after == 255) & (pixels < 255)).any()


def test_measured_or_shown_follows_the_samples(tmp_path: Path) -> None:
    def encoding(**options: Any) -> object:
        path, target = tmp_path / "a.tif", tmp_path / "b.tif"
        target.unlink(missing_ok=True)
        pixels = options.pop("pixels")
        chosen = options.pop("encoding", "auto")
        tifffile.imwrite(path, pixels, **options)
        return denoised(path, target, encoding=chosen).outcomes[0].details["encoding"]

    gray8, gray16 = cells(64, 64, gain=0.5, pedestal=10).astype(np.uint8), cells(64, 64)
    colour = np.stack([gray8] * 3, -1)
    assert encoding(pixels=gray16) == "counts"
    assert encoding(pixels=gray8, imagej=True) == "counts"
    assert encoding(pixels=gray8, metadata=None) == "counts"
    assert encoding(pixels=gray8, metadata=None, encoding="counts") == "counts"
    assert encoding(pixels=gray16, encoding="display") == "display"
    assert encoding(pixels=colour, photometric="rgb", tile=(32, 32)) == "display"


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


def test_counts_have_a_default_model_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mdn.registry import store

    path = tmp_path / "a.tif"
    tifffile.imwrite(path, cells(64, 80))
    own = tmp_path / "home" / "models" / "cells"
    shutil.copytree(store.shipped_folder() / "unittest", own)
    card = (own / "card.toml").read_text()
    (own / "card.toml").write_text(f'domain = "counts"\n{card}')
    monkeypatch.setenv("MDN_HOME", str(tmp_path / "home"))
    chosen = denoised(path, tmp_path / "b.tif", model=None).outcomes[0].details["model"]
    assert chosen == "cells"
    named = denoised(path, tmp_path / "c.tif").outcomes[0].details["model"]
    assert named == "unittest"


def test_smooth_noise_is_taken_apart_in_tiles_as_in_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    rng = np.random.default_rng(0)
    drawn = rng.normal(0, 120, (502, 402))
    smooth = sum(drawn[i : i + 500, j : j + 400] for i in range(3) for j in range(3)) / 9
    tifffile.imwrite(path, np.rint(1000 + smooth).astype(np.uint16), photometric="minisblack")
    outcome = denoised(path, tmp_path / "b.tif", model="photo", encoding="counts").outcomes[0]
    assert outcome.details["noise"]["0"]["spacing"] == 3, outcome  # type: ignore[index]
    after = tifffile.imread(tmp_path / "b.tif").astype(float)
    assert after.std() < smooth.std() / 4
    whole = denoised(path, tmp_path / "c.tif", model="photo", tile=4096, encoding="counts")
    assert whole.exit_code == 0
    difference = after - tifffile.imread(tmp_path / "c.tif").astype(float)
    assert np.abs(difference).max() <= 0.05 * smooth.std()


def test_what_stores_need_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)  # as where it is not installed
    (tmp_path / "a.ome.zarr").mkdir()
    outcome = denoised(tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr").outcomes[0]
    assert "needs zarr; pip install 'mdn[zarr]'" in outcome.error
    assert not (tmp_path / "b.ome.zarr").exists()
