"""What is lost between formats, how it is said, and how depths are rounded."""

import numpy as np
import pytest

from mdn import io
from mdn.errors import FileError, UsageError
from mdn.image import Image, Metadata
from mdn.io.tiff.layout import ASSOCIATED, TiffLayout
from tests.io.samples import XMP, chunk, coded, encoded, exif, icc, opened, picture, png_of, unpng

EVERYTHING = Metadata(icc=icc(), exif=exif(), xmp=XMP, dpi=(300, 300))


def test_sixteen_bits_round_to_eight() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(1, 256, 256, 1)
    image = Image(values)
    assert io.losses(image, "bmp") == ["16-bit depth"]
    result = np.asarray(opened(coded(image, "bmp"))).ravel()
    exact = np.arange(65536) / 257
    assert np.abs(result - exact).max() <= 0.5
    assert (result[0], result[65535]) == (0, 255)


@pytest.mark.parametrize(("format", "top"), [("png", 65535), ("bmp", 255)])
def test_floats_are_clipped_scaled_and_said_so(format: str, top: int) -> None:
    values = np.array([-0.5, 0, 0.25, 0.5, 1, 7], np.float32).reshape(1, 2, 3, 1)
    image = Image(values, format="tiff")
    bits = 16 if top > 255 else 8
    said = f"32-bit float depth (stored as {bits}-bit, 2 samples beyond 0..1 clipped)"
    assert io.losses(image, format) == [said]
    data = coded(image, format)
    result = unpng(data) if format == "png" else np.asarray(opened(data))
    expected = [0, 0, round(top / 4), round(top / 2), top, top]
    assert np.abs(result.ravel().astype(int) - expected).max() <= (0 if top == 255 else 1)


@pytest.mark.parametrize(
    ("format", "lost"),
    [
        ("png", []),
        ("tiff", []),
        ("jpeg", ["16-bit depth", "alpha"]),
        ("webp", ["16-bit depth", "resolution (dpi)"]),
        ("bmp", ["16-bit depth", "ICC profile", "EXIF", "XMP"]),
    ],
)
def test_losses_name_exactly_what_goes(format: str, lost: list[str]) -> None:
    source = picture(9, 12, 4, np.uint16)
    image = Image(source[None, ..., :3], source[None, ..., 3], EVERYTHING)
    assert io.losses(image, format) == lost
    result = io.read_image(coded(image, format))
    kept = {
        "16-bit depth": result.pixels.dtype == np.uint16,
        "alpha": result.alpha is not None,
        "ICC profile": result.meta.icc == icc(),
        "XMP": result.meta.xmp == XMP,
        "resolution (dpi)": result.meta.dpi == pytest.approx((300, 300), abs=0.02),
    }
    assert [phrase for phrase, held in kept.items() if not held] == [
        phrase for phrase in lost if phrase in kept
    ]
    assert (result.meta.exif is None) == ("EXIF" in lost)


@pytest.mark.parametrize("source", ["png", "jpeg", "tiff", "webp", "bmp"])
@pytest.mark.parametrize("target", ["png", "jpeg", "tiff", "webp", "bmp"])
def test_every_pair_of_formats(source: str, target: str) -> None:
    pixels = np.full((1, 16, 16, 3), (200, 100, 50), np.uint8)
    first = io.read_image(coded(Image(pixels, None, EVERYTHING), source))
    second = io.read_image(coded(first, target))
    assert (second.format, second.pixels.dtype) == (target, np.uint8)
    assert np.abs(second.pixels.astype(int) - pixels).max() <= 6
    for field in ("icc", "xmp"):
        through_bmp = "bmp" in (source, target)
        expected = None if through_bmp else getattr(EVERYTHING, field)
        assert getattr(second.meta, field) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_premultiplied_colours_are_divided_for_formats_that_want_them_plain(dtype: type) -> None:
    top = np.iinfo(dtype).max
    alpha = np.array([[[0, top // 2, top]]], dtype)
    pixels = np.array([[[[9] * 3, [top // 4] * 3, [top // 3] * 3]]], dtype)
    meta = Metadata(private={"tiff": TiffLayout(extrasample=ASSOCIATED)})
    image = Image(pixels, alpha, meta, "x", "tiff", alpha_associated=True)
    result = unpng(coded(image, "png"))
    np.testing.assert_array_equal(result[..., 3], alpha[0])
    half = round(int(top // 4) * int(top) / int(top // 2))
    assert result[0, :, 0].tolist() == [9, half, top // 3]
    kept = io.read_image(coded(image, "tiff"))
    np.testing.assert_array_equal(kept.pixels, pixels)


def test_private_chunks_are_named_when_left_behind() -> None:
    text, gamma, srgb = chunk(b"tEXt", b"a\0b"), chunk(b"gAMA", b"\0\0\xb1\x8f"), b"\0"
    image = io.read_image(png_of(picture(4, 4, 3), text, gamma))
    assert io.losses(image, "png") == []
    assert io.losses(image, "tiff") == ["PNG text", "PNG colour space"]
    image = io.read_image(png_of(picture(4, 4, 3), chunk(b"sRGB", srgb), gamma))
    assert io.losses(image, "tiff") == []


def test_gray_with_alpha_becomes_rgba_where_it_must() -> None:
    source = picture(5, 6, 2)
    image = io.read_image(png_of(source))
    for format in ("bmp", "webp"):
        assert "single gray channel (stored as RGB)" in io.losses(image, format)
    result = np.asarray(opened(coded(image, "bmp")))
    np.testing.assert_array_equal(result, source[..., [0, 0, 0, 1]])
    assert (io.losses(image, "jpeg"), opened(coded(image, "jpeg")).mode) == (["alpha"], "L")


def test_unknown_format_and_quality_are_usage_errors() -> None:
    image = Image(np.zeros((1, 2, 2, 3), np.uint8))
    for call in (lambda: io.losses(image, "gif"), lambda: coded(image, format="x")):
        with pytest.raises(UsageError, match="png jpeg"):
            call()
    for quality in (0, 101):
        with pytest.raises(UsageError, match="between 1 and 100"):
            coded(image, quality=quality)


def test_the_content_decides_not_the_suffix(tmp_path) -> None:
    path = tmp_path / "wrong.png"
    path.write_bytes(encoded(picture(9, 9, 3), "JPEG"))
    assert io.read_image(path).format == "jpeg"
    assert io.read_image(path.read_bytes()).format == "jpeg"
    assert (io.read_image(path).name, io.read_image(path, name="it").name) == (str(path), "it")


def test_samples_of_no_defined_range_are_refused() -> None:
    for format in io.FORMATS:
        image = Image(np.zeros((1, 4, 4, 1 if format == "pgm" else 3)))
        with pytest.raises(FileError, match="cannot be stored"):
            coded(image, format=format)
