"""`commands.noise`: depth, range, alpha and seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdn import io
from mdn.commands.noise import NoiseRequest, add_to_page, draw_seed, run
from mdn.image import Image
from mdn.jobs.job import Job
from tests.jobs.test_running import Recorder


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def page(value: float, dtype: type, side: int = 64) -> np.ndarray:
    return np.full((side, side, 3), value, dtype)


def write(path: Path, pixels: np.ndarray, alpha: np.ndarray | None = None) -> Job:
    io.write_image(Image(pixels, alpha), path)
    return Job(path, path.with_name(f"{path.stem}_out.png"), path.name)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("end", ["min", "max"])
def test_integers_are_clipped_and_do_not_wrap(dtype: type, end: str) -> None:
    value = int(getattr(np.iinfo(dtype), end))
    noisy = add_to_page(page(value, dtype), "gaussian", 50, generator()).astype(int)
    assert 0.4 < (noisy == value).mean() < 0.6  # half of the noise points out of the range
    assert abs(noisy - value).max() < np.iinfo(dtype).max * 0.9


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_not_clipped(dtype: type) -> None:
    noisy = add_to_page(page(1.0, dtype), "gaussian", 50, generator())
    assert noisy.dtype == dtype
    assert noisy.max() > 1.2
    assert noisy.min() < 0.8


def test_a_seed_belongs_to_a_file_and_a_draw() -> None:
    a, b = Job(Path("x/a.png"), None, "x/a.png"), Job(Path("b.png"), None, "b.png")
    again = Job(Path("elsewhere/a.png"), Path("out.png"), "a")
    second = Job(Path("x/a.png"), None, "x/a.png", draw=2)
    assert draw_seed(0, a) == draw_seed(0, again)
    seeds = {draw_seed(0, a), draw_seed(0, b), draw_seed(0, second), draw_seed(1, a)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert draw_seed(0, Job(None, None, "stdin")) not in seeds


def test_the_seed_of_a_known_file_never_changes() -> None:
    # Published test sets are named by their seed: a new derivation would change them silently.
    assert draw_seed(0, Job(Path("photo.png"), None, "photo.png")) == 708452952810950174


def test_files_in_a_batch_are_as_they_are_alone(tmp_path: Path) -> None:
    pixels = page(128, np.uint8, 16)[None]
    jobs = [write(tmp_path / f"{name}.png", pixels) for name in "ab"]
    assert run(jobs, NoiseRequest("gaussian", 25.0), Recorder()).exit_code == 0
    first, second = [io.read_image(Path(str(job.target))).pixels for job in jobs]
    assert not np.array_equal(first, second)
    again = run([replace(jobs[1], overwrite=True)], NoiseRequest("gaussian", 25.0), Recorder())
    assert again.exit_code == 0
    assert np.array_equal(io.read_image(Path(str(jobs[1].target))).pixels, second)


def test_alpha_is_left_alone(tmp_path: Path) -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    job = write(tmp_path / "a.png", page(128, np.uint8, 16)[None], alpha)
    result = run([job], NoiseRequest("gaussian"), Recorder())
    noisy = io.read_image(Path(str(job.target)))
    assert noisy.alpha is not None
    assert np.array_equal(noisy.alpha, alpha)
    details = result.outcomes[0].details
    assert (details["width"], details["channels"], details["level"]) == (16, 4, 25)


def test_counts_that_use_little_of_their_dtype_are_named(tmp_path: Path) -> None:
    notes, pixels = Recorder(), np.full((1, 16, 16, 1), 300, np.uint16)
    for name, samples in (("few", pixels), ("many", 100 * pixels)):
        io.write_image(Image(samples), tmp_path / f"{name}.tif")
    jobs = [Job(tmp_path / f"{n}.tif", tmp_path / f"{n}2.tif", n) for n in ("few", "many")]
    assert run(jobs, NoiseRequest("gaussian"), notes).exit_code == 0
    assert notes.said == ["uses 0 to 300 of 65535, and levels are meant for all of it"]
