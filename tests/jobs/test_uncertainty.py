"""Maps of uncertainty: whole or not at all, and not over a file that appears meanwhile."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn.errors import FileError
from mdn.io.atomic import part_beside
from mdn.jobs.files import std_map
from mdn.jobs.job import Job

SHAPE = (1, 4, 5)


def job(target: Path, *, overwrite: bool = False) -> Job:
    return Job(None, None, "a.png", std_target=target, std_overwrite=overwrite)


def fill(target: Path, appears: bytes | None = None, *, overwrite: bool = False) -> None:
    """Writes a map of ones, while somebody else may write to its place."""
    with std_map(job(target, overwrite=overwrite), SHAPE, 255.0) as made:
        made.page(0)(0, np.ones((4, 5, 3), np.float32))
        if appears is not None:
            target.write_bytes(appears)


@pytest.mark.parametrize("name", ["s.tif", "s.png"])
def test_a_file_that_appears_meanwhile_is_left_as_it_is(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="was written by another run meanwhile"):
        fill(tmp_path / name, b"somebody's")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"somebody's"]


def test_a_file_that_was_there_before_is_replaced_if_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "s.tif"
    target.write_bytes(b"old")
    with pytest.raises(FileError):
        fill(target)
    assert target.read_bytes() == b"old"
    fill(target, overwrite=True)
    assert np.array_equal(tifffile.imread(target), np.ones((4, 5), np.float32))
    assert list(tmp_path.iterdir()) == [target]


def test_an_unfinished_map_is_named_so_that_a_later_run_sweeps_it(tmp_path: Path) -> None:
    with std_map(job(tmp_path / "s.tif"), SHAPE, 255.0):
        (part,) = tmp_path.iterdir()
    expected = part_beside(tmp_path / "s.tif").name
    assert (part.name.split("-")[:2], part.suffix) == (expected.split("-")[:2], ".part")


def test_a_map_of_work_that_fails_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="damaged"), std_map(job(tmp_path / "s.tif"), SHAPE, 255.0):
        raise ValueError("damaged")
    assert not list(tmp_path.iterdir())
