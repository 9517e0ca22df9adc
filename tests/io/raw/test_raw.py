"""Raw files: developed as the camera meant, written back as DNGs that raw developers open."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from mdn.io.raw import Sensor, decode_light
from mdn.jobs.files import load
from mdn.jobs.job import Job
from mdn.noise.synthesis.isp import RGB_TO_XYZ
from mdn.stacks.stack_job import kind_of
from tests.io.raw.mosaic import MATRIX, RGGB, XTRANS, fractions, mosaic, write_dng
from tests.io.samples import coded, picture

rawpy = pytest.importorskip("rawpy")

SRGB = np.array(RGB_TO_XYZ)


def bayer(path: Path, light: np.ndarray, pattern: tuple[int, ...] = RGGB, turn: int = 1) -> Path:
    """A DNG with a mosaic of 12 bits. light: (H, W, 3) balanced colours of the camera, 0..1."""
    return write_dng(path, mosaic(light, pattern), pattern, turn=turn)


def flat(*colour: float) -> np.ndarray:
    return np.broadcast_to(np.array(colour), (32, 48, 3))


def middle(image: np.ndarray) -> np.ndarray:
    return image[image.shape[0] // 2, image.shape[1] // 2].astype(np.float64)


@pytest.mark.parametrize("pattern", [(0, 1, 1, 2), (2, 1, 1, 0), (1, 0, 2, 1), (1, 2, 0, 1)])
def test_it_is_developed_with_the_cameras_white_balance(
    tmp_path: Path, pattern: tuple[int, ...]
) -> None:
    image = io.read_image(bayer(tmp_path / "a.dng", flat(0.4, 0.5, 0.3), pattern))
    assert (image.pixels.dtype, image.format) == (np.uint16, "tiff")
    # The camera's colours of white are equal: DNG 1.6, chapter 6.
    camera = MATRIX @ SRGB
    expected = np.linalg.solve(camera / camera.sum(1, keepdims=True), [0.4, 0.5, 0.3])
    light = decode_light(middle(image.pixels[0]) / 65535)
    assert light == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize("linear", [False, True])
def test_x_trans_goes_through_libraws_own_demosaic(tmp_path: Path, linear: bool) -> None:
    """On a sensor of Fujifilm's pattern; LibRaw takes none below 512 pixels a side."""
    y, x = np.mgrid[:528, :528] / 528
    light = np.stack([0.3 + 0.3 * x, np.full_like(x, 0.5), 0.2 + 0.3 * y], -1)
    source = bayer(tmp_path / "a.dng", light, XTRANS)
    image = io.read_image(source, linear=linear)
    white = 1 if linear else 65535
    camera = MATRIX @ SRGB
    expected = np.linalg.solve(camera / camera.sum(1, keepdims=True), light[100, 400])
    found = image.pixels[0, 100, 400] / np.float32(white)
    assert decode_light(found) == pytest.approx(expected, abs=0.01)


def test_x_trans_that_libraw_does_not_develop_is_named(tmp_path: Path) -> None:
    source = bayer(tmp_path / "a.dng", np.full((120, 600, 3), 0.4), XTRANS)
    with pytest.raises(FileError, match=r"is an X-Trans picture below 512 pixels a side"):
        io.read_image(source)


@pytest.mark.parametrize(("turn", "shape"), [(1, (32, 48)), (3, (32, 48)), (6, (48, 32))])
def test_it_comes_upright(tmp_path: Path, turn: int, shape: tuple[int, int]) -> None:
    light = flat(0.2, 0.2, 0.2).copy()
    light[:16, :24] = 0.8  # the corner where the sensor begins
    image = io.read_image(bayer(tmp_path / "a.dng", light, turn=turn))
    assert image.pixels.shape[1:3] == shape
    corners = {1: (0, 0), 3: (-1, -1), 6: (0, -1)}
    assert image.pixels[0][corners[turn]].min() > image.pixels.mean()
    written = coded(image, format="tiff")
    assert io.read_image(written).pixels.shape == image.pixels.shape
    assert b"Model 1" in (image.meta.exif or b"")


def test_a_dng_comes_back_as_raw(tmp_path: Path) -> None:
    """LibRaw makes the same picture of the mosaic and of what is written, and all tags are kept."""
    light = np.clip(picture(32, 48, 1, np.float32) * 0.8, 0.02, 0.9)[..., None] * [0.9, 1, 0.7]
    source = bayer(tmp_path / "a.dng", light, turn=6)
    job = Job(source, tmp_path / "b.dng", "a.dng")
    image = load(job)
    assert isinstance(image.meta.private["raw"], Sensor)
    io.write_image(image, job.target)
    assert job.target is not None
    with rawpy.imread(str(job.target)) as raw:
        assert raw.camera_whitebalance[:3] == pytest.approx([2.0, 1.0, 1.6], abs=1e-3)
        assert raw.sizes.flip == 6
    before, after = io.read_image(source), io.read_image(job.target)
    assert before.pixels.shape == after.pixels.shape
    difference = np.abs(before.pixels.astype(int) - after.pixels)
    assert np.median(difference) < 100  # of 65535
    with tifffile.TiffFile(job.target) as file:
        tags = file.pages.first.tags
        assert int(tags[262].value) == 34892  # linear raw
        assert tags[272].value == "Model 1"
        assert tags[274].value == 6
        assert tags[50721].value == tuple(fractions(MATRIX.ravel()))


@pytest.mark.parametrize("settings", [b"", b"http://ns.adobe.com/camera-raw-settings/1.0/"])
def test_xmp_stays_but_no_settings_that_are_made_already(tmp_path: Path, settings: bytes) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">rating ' + settings + b"</x:xmpmeta>"
    more = (700, 1, len(xmp), xmp)
    source = write_dng(tmp_path / "a.dng", mosaic(flat(0.4, 0.5, 0.3)), more=[more])
    io.write_image(io.read_image(source, linear=True), tmp_path / "b.dng")
    with tifffile.TiffFile(tmp_path / "b.dng") as file:
        assert bytes(file.pages.first.tags[700].value) == xmp
    developed = io.read_image(source)
    assert developed.meta.xmp == (None if settings else xmp)
    assert bool(io.left_out(developed)) is bool(settings)


def test_a_camera_that_is_no_dng_gives_its_matrix_and_balance(tmp_path: Path) -> None:
    image = io.read_image(bayer(tmp_path / "a.dng", flat(0.4, 0.5, 0.3)), linear=True)
    own = image.meta.private["raw"]
    assert own.from_srgb == pytest.approx(replace(own, matrix=MATRIX).from_srgb, abs=1e-3)
    meta = replace(image.meta, private={"raw": replace(own, colour_tags={})})
    target = tmp_path / "b.dng"
    io.write_image(replace(image, meta=meta), target)
    assert middle(io.read_image(target).pixels[0]) == pytest.approx(
        middle(io.read_image(tmp_path / "a.dng").pixels[0]), abs=200
    )


def test_only_raw_files_become_dng_and_none_is_taken_for_a_tiff(tmp_path: Path) -> None:
    image = Image(picture(8, 8, 3)[None])
    with pytest.raises(FileError, match="is no raw file, and DNG is for those"):
        io.losses(image, "dng")
    source = bayer(tmp_path / "a.dng", flat(0.4, 0.5, 0.3))
    assert kind_of(Job(source, tmp_path / "b.tif", "a.dng")) == ""


def test_a_dng_holds_what_no_screen_shows(tmp_path: Path) -> None:
    """Colours beyond sRGB and channels beyond white come back as LibRaw gave them."""
    light = flat(1.9, 0.3, 0.05).copy()
    light[:, 24:] = 2.0, 1.0, 1.6  # the sensor's own white
    source = bayer(tmp_path / "a.dng", light)
    image = io.read_image(source, linear=True)
    assert image.pixels.min() < -0.05
    assert image.pixels.max() > 1.2
    io.write_image(image, tmp_path / "b.dng")
    stored = tifffile.imread(tmp_path / "b.dng")
    for column, colour in ((8, (1.9, 0.3, 0.05)), (40, (2.0, 1.0, 1.6))):
        recorded = 65535 * np.array(colour) / [2.0, 1.0, 1.6]
        assert stored[16, column] == pytest.approx(recorded, abs=40)


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.cr3").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "rawpy", None)
    with pytest.raises(FileError, match=r"Canon raw file, which needs rawpy.*'mdn\[raw\]'"):
        io.read_image(tmp_path / "a.cr3")


def test_damage_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = bayer(tmp_path / "a.dng", flat(0.4, 0.5, 0.3)).read_bytes()
    chance, refused = random.Random(1), 0
    for number in range(60):
        data = bytearray(whole)
        if number % 3 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(8):
                data[chance.randrange(min(len(data), 500))] ^= 1 << chance.randrange(8)
        path = tmp_path / "b.dng"
        path.write_bytes(data)
        try:
            io.read_image(path)
        except FileError as problem:
            refused += "\n" not in str(problem)
    assert refused >= 20  # all that are cut short among them
    assert capfd.readouterr().err == ""
    (tmp_path / "c.nef").write_bytes(b"hello" * 100)
    with pytest.raises(FileError, match="LibRaw does not know"):
        io.read_image(tmp_path / "c.nef")
