"""The Python face does with arrays what the command line does with files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

import mdn
from mdn import io
from mdn.errors import FileError, MdnError, ModelError, UsageError
from mdn.image import Image, Metadata
from tests.cli.cli_tools import MODEL, Run, child_environment
from tests.cli.conftest import run as run

FAST = {"model": "unittest", "device": "cpu", "precision": "fp32"}


def noisy(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    values = np.random.default_rng(0).normal(0.5, 0.1, shape)
    return np.clip(values * np.iinfo(dtype).max if dtype[0] in "ui" else values, 0, None).astype(
        dtype
    )


def test_importing_it_is_quick() -> None:
    script = (
        "import sys, mdn; assert dir(mdn) and mdn.__version__ and mdn.errors;"
        "heavy = {'torch', 'numpy', 'tifffile', 'mdn.api'} & set(sys.modules); sys.exit(str(heavy))"
        " if heavy else mdn.denoise; assert 'torch' in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=child_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(33, 40), (33, 40, 1), (33, 40, 3), (2, 33, 40, 3), (5, 33, 40)])
def test_shape_and_dtype_stay_and_the_input_is_untouched(
    shape: tuple[int, ...], dtype: str
) -> None:
    before = noisy(shape, dtype)
    kept = before.copy()
    after = mdn.denoise(before, **FAST)
    assert (after.shape, after.dtype) == (before.shape, before.dtype)
    assert np.array_equal(before, kept)
    assert not np.array_equal(after, before)


def test_noise_is_removed() -> None:
    clean = np.tile(np.linspace(60, 200, 128), (128, 1)).astype(np.uint8)
    before = np.clip(np.random.default_rng(0).normal(clean, 20), 0, 255).astype(np.uint8)
    after = mdn.denoise(before, device="cpu")
    errors = [np.std(each.astype(float) - clean) for each in (before, after)]
    assert errors[1] < 0.3 * errors[0]
    assert mdn.estimate_noise(before).sigma == pytest.approx(20, rel=0.1)


def test_an_hdr_photo_of_a_file_is_denoised_as_light(tmp_path: Path, run: Run) -> None:
    path, out = tmp_path / "a.jxl", tmp_path / "b.jxl"
    meta = Metadata(cicp=(9, 16), bits=16)
    io.write_image(Image(noisy((1, 48, 48, 3), "uint16"), None, meta), path)
    assert run("denoise", str(path), "-o", str(out), *MODEL).exit_code == 0
    assert (mdn.denoise(path, **FAST) == io.read_image(out).pixels[0]).all()
    signal = io.read_image(path).pixels[0]  # of the same samples no tag tells that they are HDR
    assert (mdn.denoise(signal, **FAST) != mdn.denoise(path, **FAST)).any()


def test_alpha_stays() -> None:
    before = noisy((33, 40, 4))
    after = mdn.denoise(before, **FAST)
    assert np.array_equal(after[..., 3], before[..., 3])
    colour = mdn.denoise(before[..., :3], **FAST)
    assert np.array_equal(after[..., :3], colour)


def test_axes_say_what_is_what() -> None:
    stack = noisy((3, 2, 33, 40), "uint16")
    stack[:, 1] //= 7  # another range, which must not matter to the first channel
    together = mdn.denoise(stack, axes="ZCYX", **FAST)
    first = mdn.denoise(stack[:, 0], **FAST)
    assert np.array_equal(together[:, 0], first)
    turned = mdn.denoise(stack.transpose(2, 3, 1, 0), axes="yxcz", **FAST)
    assert np.array_equal(turned.transpose(3, 2, 0, 1), together)


def test_each_picture_of_a_series_stands_alone() -> None:
    pictures = noisy((2, 33, 40, 3))
    after = mdn.denoise(pictures, **FAST)
    assert np.array_equal(after[1], mdn.denoise(pictures[1], **FAST))


def test_gray_with_the_noise_of_counts_is_counts() -> None:
    rng = np.random.default_rng(0)
    light = 20 + 80 * np.hypot(*np.mgrid[-1:1:192j, -1:1:192j])
    before = rng.poisson(light)
    for dtype in (np.uint8, np.uint16, np.int32, np.float32):
        stored = before.astype(dtype)
        as_counts = mdn.denoise(stored, encoding="counts", **FAST)
        assert np.array_equal(mdn.denoise(stored, **FAST), as_counts)
    shown = mdn.denoise(stored, encoding="display", **FAST)
    assert not np.array_equal(shown, as_counts)


def test_what_is_no_number_stays_and_spoils_nothing() -> None:
    picture = noisy((64, 64, 3), "float32")
    picture[20:24, 30:40] = np.nan
    after = mdn.denoise(picture, **FAST)
    assert np.array_equal(np.isnan(after), np.isnan(picture))
    nothing = np.full((20, 20, 3), np.nan, np.float32)
    assert np.isnan(mdn.denoise(nothing, **FAST)).all()


def test_strength_mixes() -> None:
    before = noisy((33, 40, 3), "float32")
    none, half, full = (mdn.denoise(before, strength=s, **FAST) for s in (0, 0.5, 1))
    assert np.array_equal(none, before)
    assert none is not before
    np.testing.assert_allclose(half, (before + full) / 2, atol=1e-5)


def test_a_loaded_model_gives_the_same() -> None:
    model = mdn.load_model("unittest", "cpu", precision="fp32")
    before = noisy((33, 40, 3))
    assert model.name == "unittest"
    assert np.array_equal(model(before), mdn.denoise(before, **FAST))
    assert np.array_equal(model(before, strength=0.0), before)
    assert np.array_equal(model(before), mdn.denoise(before, **FAST))


@pytest.mark.parametrize("alpha", [False, True])
def test_a_picture_file_gives_what_the_command_writes(
    run: Run, tmp_path: Path, alpha: bool
) -> None:
    pixels = noisy((1, 33, 40, 3))
    io.write_image(Image(pixels, pixels[..., 0] if alpha else None), tmp_path / "a.png")
    assert run("denoise", "a.png", "-o", "b.png", *MODEL).exit_code == 0
    after = mdn.denoise(tmp_path / "a.png", **FAST)
    written = io.read_image(tmp_path / "b.png")
    assert np.array_equal(after[..., :3], written.pixels[0])
    assert after.shape[-1] == 3 + alpha


@pytest.mark.parametrize(
    ("shape", "dtype", "axes"),
    [
        ((3, 2, 33, 40), "uint16", "ZCYX"),
        ((4, 33, 40), "uint8", "TYX"),
        ((33, 40), "float32", "YX"),
    ],
)
def test_a_stack_gives_what_the_command_writes(
    run: Run, tmp_path: Path, shape: tuple[int, ...], dtype: str, axes: str
) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", noisy(shape, dtype), metadata={"axes": axes})
    assert run("denoise", "a.ome.tif", "-o", "b.ome.tif", *MODEL).exit_code == 0
    written = tifffile.imread(tmp_path / "b.ome.tif")
    assert np.array_equal(mdn.denoise(tmp_path / "a.ome.tif", **FAST), written)


@pytest.mark.parametrize(
    ("kind", "words", "arguments"),
    [
        (ModelError, "nobody", {"model": "nobody"}),
        (UsageError, "strength", {"strength": 2.5}),
        (UsageError, "sigma", {"sigma": 5.0, "model": "unittest"}),
        (UsageError, "sigma", {"sigma": -3.0}),
        (UsageError, "passes", {"passes": 0}),
        (UsageError, "tile", {"tile": 0}),
        (UsageError, "EXR", {"model": "render"}),
        (UsageError, "zeroshot", {"model": "mpi-real"}),
        (UsageError, "encoding", {"encoding": "counted"}),
        (UsageError, "axes", {"axes": "YX"}),
        (UsageError, "samples", {"axes": "SYX"}),
        (UsageError, "bool", {"picture": np.zeros((20, 20), bool)}),
        (UsageError, "say what its axes are", {"picture": np.zeros((2, 2, 20, 20))}),
        (UsageError, "empty", {"picture": np.zeros((0, 20), np.uint8)}),
        (FileError, "does not exist", {"picture": "nowhere.png"}),
        (FileError, "render", {"picture": "a.exr"}),
        (FileError, "Zarr", {"picture": "a.zarr"}),
    ],
)
def test_errors_are_those_of_the_command_line(
    kind: type[MdnError], words: str, arguments: dict[str, object]
) -> None:
    picture = arguments.get("picture", noisy((20, 22, 3)))
    rest = {key: value for key, value in arguments.items() if key != "picture"}
    with pytest.raises(kind, match=words):
        mdn.denoise(picture, **({"device": "cpu"} | rest))


def test_floats_on_the_scale_of_integers_are_named() -> None:
    with pytest.warns(UserWarning, match="taken for white"):
        mdn.denoise(noisy((20, 22, 3)).astype(np.float32), **FAST)


def test_saturated_pixels_hide_no_noise_of_counts() -> None:
    rng = np.random.default_rng(0)
    counts = 5 * rng.poisson(np.linspace(20, 90, 96) * np.ones((96, 1)))
    counts[rng.random(counts.shape) < 0.003] = 65535
    found = mdn.estimate_noise(counts.astype(np.uint16))
    assert found.stored == pytest.approx(5 * 55**0.5, rel=0.2)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="denoize"):
        _ = mdn.denoize
