import io as streams
import struct

import numpy as np
import pytest
from PIL import Image as Pillow

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from tests.io.samples import XMP, coded, encoded, exif, icc, opened, picture


@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_webp_comes_back_bit_for_bit(channels: int) -> None:
    source = picture(21, 33, channels)
    if channels == 4:
        source[:7, :, 3] = 0
    image = io.read_image(encoded(source, "WEBP", lossless=True, exact=True))
    assert image.format == "webp"
    np.testing.assert_array_equal(image.pixels[0], source[..., :3])
    data = coded(image, "webp")
    assert b"VP8L" in data[:64]
    np.testing.assert_array_equal(np.asarray(opened(data)), source)


def test_lossy_webp_stays_lossy_and_keeps_alpha() -> None:
    source = picture(40, 40, 4)
    image = io.read_image(encoded(source, "WEBP", quality=90))
    np.testing.assert_array_equal(image.alpha[0], source[..., 3])
    data = coded(image, "webp")
    assert b"VP8 " in data
    assert b"VP8L" not in data
    np.testing.assert_array_equal(np.asarray(opened(data))[..., 3], source[..., 3])
    assert len(coded(image, "webp", quality=20)) < len(data)


def test_webp_metadata_is_kept() -> None:
    data = encoded(picture(9, 9, 3), "WEBP", exif=exif(), icc_profile=icc(), xmp=XMP)
    image = io.read_image(data)
    assert (image.meta.icc, image.meta.exif, image.meta.xmp) == (icc(), exif(), XMP)
    assert io.losses(image, "webp") == []
    info = opened(coded(image, "webp")).info
    assert (info["icc_profile"], info["exif"], info["xmp"]) == (icc(), exif(), XMP)


@pytest.mark.parametrize("form", ["WEBP", "PNG", "GIF"])
def test_animations_are_refused(form: str) -> None:
    frames = [Pillow.fromarray(picture(9, 9, 3, seed=seed)) for seed in range(3)]
    stream = streams.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    with pytest.raises(FileError, match=r"animated|GIF") as caught:
        io.read_image(stream.getvalue(), name="film")
    assert caught.value.remedy


def test_webp_has_no_gray_and_a_limit() -> None:
    gray = io.read_image(encoded(picture(9, 12, 1), "PNG"))
    assert io.losses(gray, "webp") == ["single gray channel (stored as RGB)"]
    assert np.asarray(opened(coded(gray, "webp"))).shape == (9, 12, 3)
    wide = Image(np.zeros((1, 1, 16384, 3), np.uint8), name="wide.png")
    with pytest.raises(FileError, match="16383"):
        coded(wide, format="webp")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_bmp_comes_back_bit_for_bit(channels: int) -> None:
    source = picture(7, 11, channels)
    image = io.read_image(encoded(source, "PNG", dpi=(300, 150)))
    data = coded(image, "bmp")
    result = opened(data)
    assert result.format == "BMP"
    np.testing.assert_array_equal(np.asarray(result), source)
    assert result.info["dpi"] == pytest.approx((300, 150), abs=0.02)
    again = io.read_image(data)
    np.testing.assert_array_equal(again.pixels, image.pixels)
    if channels == 4:
        np.testing.assert_array_equal(again.alpha, image.alpha)
    assert again.meta.dpi == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("gray", [False, True])
def test_bmp_palette(gray: bool) -> None:
    indices = Pillow.fromarray(picture(6, 9, 1) // 32).convert("P")
    colours = np.random.default_rng(0).integers(0, 256, (8, 3)).astype(np.uint8)
    if gray:
        colours[:] = colours[:, :1]
    indices.putpalette(colours.tobytes())
    stream = streams.BytesIO()
    indices.save(stream, "BMP")
    pixels = io.read_image(stream.getvalue()).pixels[0]
    expected = np.asarray(indices.convert("RGB"))
    np.testing.assert_array_equal(pixels, expected[..., :1] if gray else expected)


def test_one_bit_bmp_spans_eight_bits() -> None:
    source = picture(6, 9, 1) > 128
    data = streams.BytesIO()
    Pillow.fromarray(source).save(data, "BMP")
    pixels = io.read_image(data.getvalue()).pixels[0, ..., 0]
    np.testing.assert_array_equal(pixels, source * np.uint8(255))


@pytest.mark.parametrize("side", [20000, 60000, 2**31 - 1])
def test_a_bmp_cannot_claim_more_than_it_holds(side: int) -> None:
    data = bytearray(encoded(picture(6, 9, 3), "BMP"))
    struct.pack_into("<ii", data, 18, side, side)
    with pytest.raises(FileError):
        io.read_image(bytes(data))
