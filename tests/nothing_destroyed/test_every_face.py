"""The command, the Python face, the preview and the benchmark make the same of one file."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from mdn.bench.methods import ModelMethod
from mdn.compare import pictures as views
from mdn.compare import preview
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from tests.nothing_destroyed.pictures import COUNTS, Picture, Values, examples
from tests.nothing_destroyed.routes import command, model, read_tiff, write_tiff
from tests.nothing_destroyed.test_channels import opacity

SHAPES = st.tuples(st.integers(96, 150), st.integers(96, 150))
SEEDS = st.integers(0, 999)
NO_DATA = -9999.0
BYTES = Values("uint8", 20, 230)
PRECISION = ("--precision", "fp32")

Write = Callable[[Path, tuple[int, int], int], None]


def associated(path: Path, shape: tuple[int, int], seed: int) -> None:
    """Colours that are stored multiplied by alpha."""
    colour = Picture("leaves", BYTES, 0.08, shape, seed, 3).stored()
    alpha = (opacity(shape, seed) * 255).astype(np.uint8)
    premultiplied = (colour * (alpha[..., None] / 255)).round().astype(np.uint8)
    write_tiff(path, np.dstack([premultiplied, alpha]), "assocalpha")


def unassociated(path: Path, shape: tuple[int, int], seed: int) -> None:
    colour = Picture("leaves", BYTES, 0.08, shape, seed, 3).stored()
    write_tiff(path, np.dstack([colour, (opacity(shape, seed) * 255).astype(np.uint8)]))


def with_no_data(path: Path, shape: tuple[int, int], seed: int) -> None:
    """A tag names a value that lies among the others."""
    counts = Picture("cells", Values("float32", 100, 900), 0.05, shape, seed).stored()
    counts[np.random.default_rng(seed).random(shape) < 0.3] = NO_DATA
    counts[: shape[0] // 3] = NO_DATA
    tifffile.imwrite(path, counts, metadata=None, extratags=[(42113, "s", 0, f"{NO_DATA}", True)])


def padded(path: Path, shape: tuple[int, int], seed: int) -> None:
    """A wedge of zeros that nothing names."""
    counts = Picture("cells", COUNTS, 0.05, shape, seed).stored()
    counts[np.tri(*shape, -shape[0] // 2, bool)] = 0
    write_tiff(path, counts)


def gray(path: Path, shape: tuple[int, int], seed: int) -> None:
    write_tiff(path, Picture("leaves", BYTES, 0.06, shape, seed).stored())


def counted(path: Path, shape: tuple[int, int], seed: int) -> None:
    write_tiff(path, Picture("cells", COUNTS, 0.05, shape, seed).stored())


FILES: dict[str, Write] = {
    write.__name__: write
    for write in (associated, unassociated, with_no_data, padded, gray, counted)
}


def by_python(source: Path, after: np.ndarray) -> np.ndarray:
    return np.asarray(model()(str(source)))


def by_preview(source: Path, after: np.ndarray) -> np.ndarray:
    """What the preview computes, of the place in the middle; the rest as the command has it."""
    models = Models(device="cpu", options=Options(precision="fp32"))
    picture = views.read(str(source), "before")
    how = preview.treatment_of(picture, models, "auto", source.name)
    parts, _ = how.parts(how.picture.page(0, np.empty_like(picture.stored)))
    height, width = picture.stored.shape[:2]
    where = slice(height // 3, height // 3 + 32), slice(width // 3, width // 3 + 32)
    result = after.copy()
    crop = preview._part(how.picture, parts, *where)
    result.reshape(height, width, -1)[(*where, slice(picture.stored.shape[-1]))] = crop
    return result


def by_benchmark(source: Path, after: np.ndarray) -> np.ndarray:
    pixels = read_tiff(source)
    page = pixels.reshape(*pixels.shape[:2], -1)
    return ModelMethod("photo", "cpu", "fp32", 0).denoise(page, 0.0, "a").reshape(pixels.shape)


def check(write: Write, face: Callable[..., np.ndarray], data: st.DataObject, *more: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.tif", Path(folder) / "out.tif"
        write(source, data.draw(SHAPES), data.draw(SEEDS))
        command(source, target, *PRECISION, *more)
        before, after = read_tiff(source), read_tiff(target)
        result = face(source, after)
    assert (result.shape, result.dtype) == (after.shape, after.dtype)
    assert not np.array_equal(after, before), "nothing was removed: nothing is shown by this"
    apart = np.abs(result.astype(float) - after.astype(float)).max()
    assert apart <= (1 if after.dtype.kind in "iu" else 1e-3), f"apart by up to {apart:g}"


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("face", [by_python, by_preview])
@examples(4)
@given(data=st.data())
def test_a_file(face: Callable[..., np.ndarray], kind: str, data: st.DataObject) -> None:
    check(FILES[kind], face, data)


@pytest.mark.parametrize("kind", ["gray", "counted", "padded"])
@examples(4)
@given(data=st.data())
def test_a_benchmark(kind: str, data: st.DataObject) -> None:
    """A model that is named is taken for counts as well."""
    check(FILES[kind], by_benchmark, data, "--model", "photo")
