import io as streams
import struct

import numpy as np
import pytest
from PIL import ExifTags, ImageOps
from PIL import Image as Pillow

from mdn import io
from tests.io.samples import MAKER_NOTE, XMP, coded, encoded, exif, opened, picture

# Red grows to the right and green downwards: no turn looks like another, and lossy coding is mild.
PHOTO = np.zeros((24, 40, 3), np.uint8)
PHOTO[..., 0] = np.linspace(0, 255, 40)
PHOTO[..., 1] = np.linspace(0, 255, 24)[:, None]
OPTIONS = {"jpeg": {"quality": 95}, "png": {}, "webp": {"lossless": True}, "tiff": {}}


def source(form: str, orientation: int | None, array: np.ndarray = PHOTO) -> bytes:
    if form == "tiff":
        stream = streams.BytesIO()
        tags = Pillow.Exif()
        if orientation is not None:
            tags[274] = orientation
        Pillow.fromarray(array).save(stream, "TIFF", exif=tags)
        return stream.getvalue()
    block = b"Exif\0\0" + exif(orientation)
    return encoded(array, form.upper(), exif=block, **OPTIONS[form])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", OPTIONS)
def test_pictures_are_read_upright_and_not_turned_twice(form: str, orientation: int) -> None:
    data = source(form, orientation)
    upright = np.asarray(ImageOps.exif_transpose(opened(data)))
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[0], upright)
    for target in OPTIONS:
        written = coded(image, format=target)
        result = opened(written)
        assert result.size == (upright.shape[1], upright.shape[0])
        assert result.getexif().get(274, 1) == 1
        shown = np.asarray(ImageOps.exif_transpose(result))
        if target in ("png", "tiff"):
            np.testing.assert_array_equal(shown, upright)
        else:
            assert np.abs(shown.astype(int) - upright).mean() < 4


def test_alpha_turns_with_the_picture() -> None:
    array = picture(24, 40, 4, seed=5)
    data = encoded(array, "PNG", exif=b"Exif\0\0" + exif(6))
    image = io.read_image(data)
    np.testing.assert_array_equal(image.alpha[0], np.rot90(array[..., 3], -1))


def test_only_the_orientation_and_the_sides_change_in_the_block() -> None:
    data = encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + exif(6), xmp=XMP, dpi=(300, 100))
    image = io.read_image(data)
    assert image.meta.exif is not None
    changed = [a != b for a, b in zip(exif(6), image.meta.exif, strict=True)]
    assert 1 <= sum(changed) <= 5
    block = Pillow.Exif()
    block.load(image.meta.exif)
    assert block.get_ifd(0x8769)[0x927C] == MAKER_NOTE
    assert (block.get_ifd(0x8769)[0xA002], block.get_ifd(0x8769)[0xA003]) == (24, 40)
    assert image.meta.xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')
    assert image.meta.dpi == (100, 300)


@pytest.mark.parametrize(("turn", "kept"), [(1, True), (6, False)])
def test_a_thumbnail_that_would_lie_on_its_side_goes(turn: int, kept: bool) -> None:
    block = bytearray(exif(turn))
    count = struct.unpack(">H", block[8:10])[0]
    struct.pack_into(">I", block, 10 + 12 * count, len(block))  # the directory of the thumbnail
    block += struct.pack(">HHHIII", 1, 0x0201, 4, 1, 999, 0)
    data = encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + bytes(block))
    assert opened(data).getexif().get_ifd(ExifTags.IFD.IFD1)
    written = coded(io.read_image(data), format="jpeg")
    after = opened(written).getexif()
    assert (bool(after.get_ifd(ExifTags.IFD.IFD1)), after[0x010F]) == (kept, "A camera maker")


def test_big_endian_and_long_orientation() -> None:
    block = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\4\0\0\0\1\0\0\0\6\0\0\0\0"
    image = io.read_image(encoded(PHOTO, "PNG", exif=b"Exif\0\0" + block))
    np.testing.assert_array_equal(image.pixels[0], np.rot90(PHOTO, -1))
    assert image.meta.exif == block.replace(b"\0\0\0\6", b"\0\0\0\1")


@pytest.mark.parametrize("value", [0, 9, 200])
def test_an_orientation_out_of_range_leaves_the_picture_alone(value: int) -> None:
    image = io.read_image(encoded(PHOTO, "PNG", exif=b"Exif\0\0" + exif(value)))
    np.testing.assert_array_equal(image.pixels[0], PHOTO)
    assert image.meta.exif == exif(value)


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_damaged_block_does_not_harm_the_picture(cut: int) -> None:
    block = exif(1)[:cut] or b"\0"
    image = io.read_image(encoded(PHOTO, "JPEG", exif=b"Exif\0\0" + block, quality=95))
    assert image.pixels.shape == (1, 24, 40, 3)
    assert coded(image, format="tiff") is not None
