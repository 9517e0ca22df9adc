"""The value where nothing was measured, and the kind of alpha, as readers tell of them."""

import base64
import io as streams
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.commands import denoise
from mdn.io.stack import GDAL_NODATA, fill_value_of, no_data_of
from mdn.io.tiff.rewrite import rewrite
from mdn.io.tiff.stack import open_stack
from mdn.jobs.job import Unheard
from mdn.jobs.planning import plan
from tests.commands.tools import request
from tests.io.samples import coded, picture

FLT_MAX = float(np.finfo(np.float32).max)


@pytest.mark.parametrize(
    ("text", "dtype", "value"),
    [
        ("-9999", "float32", -9999.0),
        ("-9999", "int16", -9999.0),
        (" 255.0\0", "uint8", 255.0),
        ("65535", "uint16", 65535.0),
        ("4294967295", "uint32", 4294967295.0),
        ("3.4028234663852886e+38", "float32", FLT_MAX),
        ("-3.40282346600000016e+38", "float32", -FLT_MAX),
        ("-3.4028235e+38", "float32", -FLT_MAX),
        ("-1.7976931348623157e+308", "float64", -1.7976931348623157e308),
        ("1e20", "float32", float(np.float32(1e20))),
        ("0.1", "float32", float(np.float32(0.1))),
        ("0.1", "float64", 0.1),
        ("-inf", "float32", -np.inf),
        ("1.#INF", "float32", np.inf),
        ("0 0 0", "uint8", 0.0),
        # what no sample can be
        ("-9999", "uint16", None),
        ("256", "uint8", None),
        ("1.5", "uint8", None),
        ("nan", "uint8", None),
        ("inf", "uint16", None),
        ("1e39", "float32", None),
        ("-1.7976931348623157e+308", "float32", None),
        ("1e6", "float16", None),
        # nonsense
        ("", "uint8", None),
        ("none", "float32", None),
        ("1_000", "uint16", None),
        ("0 1 2", "uint8", None),
        ("0x10", "uint8", None),
        ("1,5", "float32", None),
        (b"\xff\xfe\0", "uint8", None),
    ],
)
def test_text_becomes_the_sample(text: str | bytes, dtype: str, value: float | None) -> None:
    result = no_data_of(text, np.dtype(dtype))
    assert result == value
    if result is not None:
        assert float(np.array(result, dtype)) == result


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "1.#QNAN", "-1.#IND"])
def test_text_of_no_number(text: str) -> None:
    result = no_data_of(text, np.dtype(np.float32))
    assert result is not None
    assert np.isnan(result)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        (-9999, -9999.0),
        (0.1, float(np.float32(0.1))),
        ([-1], -1.0),
        ("-9999.0", -9999.0),
        (base64.standard_b64encode(struct.pack("<d", 1e20)).decode(), float(np.float32(1e20))),
        (None, None),
        (True, None),
        ({"a": 1}, None),
        ([1, 2], None),
        ("none", None),
        ("AAAA", None),
    ],
)
def test_attributes_become_the_sample(attribute: Any, value: float | None) -> None:
    assert fill_value_of(attribute, np.dtype(np.float32)) == value


def test_attributes_of_no_number() -> None:
    packed = base64.standard_b64encode(struct.pack("<d", np.nan)).decode()
    for attribute in ("NaN", float("nan"), packed):
        result = fill_value_of(attribute, np.dtype(np.float32))
        assert result is not None
        assert np.isnan(result)


def gdal(path: Path, array: np.ndarray, text: bytes, **options: Any) -> Path:
    """A TIFF with GDAL's tag."""
    tags = [(GDAL_NODATA, 2, len(text) + 1, text + b"\0", True)]
    tifffile.imwrite(path, array, extratags=tags, metadata=None, **options)
    return path


LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 8},
    "tiles": {"tile": (16, 16), "compression": "zlib"},
    "lzw": {"compression": "lzw", "predictor": True, "byteorder": ">"},
    "big": {"bigtiff": True},
}


def holes(text: str, shape: tuple[int, ...] = (40, 50)) -> np.ndarray:
    values = np.random.default_rng(0).normal(500, 20, shape).astype(np.float32)
    values[..., 10:20, 5:25] = np.float32(text)
    return values


@pytest.mark.parametrize("text", ["-9999", "3.4028234663852886e+38", "1e20", "0.1"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_stacks_and_pictures_know_their_no_data(tmp_path: Path, layout: str, text: str) -> None:
    values = holes(text, (3, 40, 50))
    how = {"photometric": "minisblack"} | LAYOUTS[layout]
    path = gdal(tmp_path / "a.tif", values, text.encode(), **how)
    with open_stack(path) as stack:
        assert len(stack.planes) == 3
        for plane in stack.planes:
            assert np.count_nonzero(plane.read() == plane.no_data) == 200
    image = io.read_image(path)
    assert np.count_nonzero(image.pixels == image.no_data) == 600


def test_a_file_without_the_tag_has_none(tmp_path: Path) -> None:
    for text in (None, b"nonsense", b""):
        path = tmp_path / "a.tif"
        values = holes("0")
        if text is None:
            tifffile.imwrite(path, values)
        else:
            gdal(path, values, text)
        with open_stack(path) as stack:
            assert stack.planes[0].no_data is None
        assert io.read_image(path).no_data is None


def test_no_data_follows_samples_that_are_turned_around(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = gdal(tmp_path / "a.tif", values, b"7", photometric="miniswhite")
    image = io.read_image(path)
    assert image.no_data == 248.0  # white is 0 in the file
    assert image.pixels[0, 0, 7, 0] == 248
    with open_stack(path) as stack:
        assert (stack.planes[0].no_data, stack.planes[0].read()[0, 7, 0]) == (7.0, 7)


def tag(path: Path) -> bytes:
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.tags[GDAL_NODATA]
        file.filehandle.seek(place.valueoffset)
        return bytes(file.filehandle.read(place.valuebytecount))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_tag_is_written_back_to_the_byte(tmp_path: Path, layout: str) -> None:
    text = b" -9999.00 "
    path = gdal(tmp_path / "a.tif", holes("-9999"), text, **LAYOUTS[layout])
    io.write_image(io.read_image(path), tmp_path / "b.tif")
    with (
        open_stack(path) as stack,
        rewrite(stack, tmp_path / "c.tif") as out,
        out.page(stack.planes[:1]) as writer,
    ):
        writer.write(0, stack.planes[0].read() + 1)
    for name in ("b.tif", "c.tif"):
        assert tag(tmp_path / name) == text + b"\0"
        assert io.read_image(tmp_path / name).no_data == -9999.0


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha", "unspecified"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_both_readers_say_whether_colours_are_multiplied_by_alpha(
    tmp_path: Path, layout: str, planar: str, kind: str
) -> None:
    source = picture(40, 50, 4, np.uint16)
    stored = source if planar == "contig" else np.moveaxis(source, -1, 0)
    path, options = tmp_path / "a.tif", LAYOUTS[layout]
    tifffile.imwrite(
        path, stored, photometric="rgb", planarconfig=planar, extrasamples=[kind], metadata=None,
        **options,
    )  # fmt: skip
    associated = kind == "assocalpha"
    with open_stack(path) as stack:
        (plane,) = stack.planes
        assert plane.alpha_associated is associated
        assert plane.alpha == (None if kind == "unspecified" else 3)
        np.testing.assert_array_equal(plane.rows.read(0, 40), source)
    image = io.read_image(path)
    assert image.alpha_associated is associated
    np.testing.assert_array_equal(np.dstack([image.pixels[0], image.alpha[0]]), source)
    data = coded(image)
    with tifffile.TiffFile(streams.BytesIO(data)) as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), stored)
        assert page.extrasamples[0] == tifffile.EXTRASAMPLE[kind.upper()]


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_gray_with_alpha(tmp_path: Path, planar: str) -> None:
    source = picture(40, 50, 2, np.float32)
    stored = source if planar == "contig" else np.moveaxis(source, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, stored, photometric="minisblack", planarconfig=planar, extrasamples=["assocalpha"],
        metadata=None,
    )  # fmt: skip
    assert io.read_image(path).alpha_associated
    with open_stack(path) as stack:
        assert [(each.alpha, each.alpha_associated) for each in stack.planes] == [(1, True)]


@pytest.mark.parametrize("kind", ["assocalpha", "unassalpha"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_of_strength_0_is_the_file(tmp_path: Path, layout: str, kind: str) -> None:
    source, target = tmp_path / "a.tif", tmp_path / "b.tif"
    gdal(
        source, picture(40, 50, 4, np.uint16), b"65535", photometric="rgb",
        extrasamples=[kind], planarconfig="contig", **LAYOUTS[layout],
    )  # fmt: skip
    jobs = plan([str(source)], str(target)).jobs
    result = denoise.run(jobs, request("unittest", strength=0.0), Unheard())
    assert (result.exit_code, target.read_bytes()) == (0, source.read_bytes())
