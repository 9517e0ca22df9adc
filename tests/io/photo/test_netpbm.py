import io as streams

import numpy as np
import pytest
from PIL import Image as Pillow

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from tests.io.samples import coded, opened, picture, png_of

TOPS = (255, 65535, 1, 100, 1023, 4095, 256, 65534)


def pnm(magic: bytes, values: np.ndarray, top: int, comment: bytes = b"") -> bytes:
    """A pixmap by the letter of pgm(5) and ppm(5)."""
    height, width = values.shape[:2]
    head = magic + b"\n" + comment + b"%d %d\n%d\n" % (width, height, top)
    if magic in (b"P2", b"P3"):
        return head + b" ".join(b"%d" % value for value in values.ravel()) + b"\n"
    return head + values.astype("u1" if top < 256 else ">u2").tobytes()


def drawn(magic: bytes, top: int) -> np.ndarray:
    shape = (7, 11, 3) if magic in (b"P3", b"P6") else (7, 11, 1)
    values = np.random.default_rng(top).integers(0, top, shape, endpoint=True)
    values.flat[:2] = 0, top
    return values


@pytest.mark.parametrize("top", TOPS)
@pytest.mark.parametrize("magic", [b"P2", b"P3", b"P5", b"P6"])
def test_every_maximum_comes_back_bit_for_bit(magic: bytes, top: int) -> None:
    values = drawn(magic, top)
    image = io.read_image(pnm(magic, values, top))
    assert image.format == ("pgm" if magic in (b"P2", b"P5") else "ppm")
    white = 255 if top < 256 else 65535
    assert image.pixels.dtype == (np.uint8 if top < 256 else np.uint16)
    np.testing.assert_array_equal(image.pixels[0], (2 * values * white + top) // (2 * top))
    written = coded(image)
    assert written == pnm(b"P5" if values.shape[-1] == 1 else b"P6", values, top)


@pytest.mark.parametrize("mode", ["L", "RGB", "I;16", "F"])
def test_pillow_and_mdn_read_each_other(mode: str) -> None:
    array = {
        "L": picture(9, 13, 1), "RGB": picture(9, 13, 3), "I;16": picture(9, 13, 1, np.uint16),
        "F": picture(9, 13, 1, np.float32) * 3,
    }[mode]  # fmt: skip
    stream = streams.BytesIO()
    Pillow.fromarray(array).save(stream, "PPM")
    image = io.read_image(stream.getvalue())
    np.testing.assert_array_equal(image.pixels[0].squeeze(), array)
    data = coded(image)
    np.testing.assert_array_equal(np.asarray(opened(data)), array)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_floats_keep_their_order_and_unit(order: str, channels: int) -> None:
    values = picture(5, 6, channels, np.float32).reshape(5, 6, channels) * 40 - 1
    head = (
        (b"PF" if channels == 3 else b"Pf") + b"\n6 5\n" + (b"-2.5\n" if order == "<" else b"1\n")
    )
    data = head + values[::-1].astype(f"{order}f4").tobytes()
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[0], values)
    assert coded(image) == data


def test_comments_are_kept_and_named_elsewhere() -> None:
    values = drawn(b"P5", 255)
    data = pnm(b"P5", values, 255, b"# by a camera\n#another\n")
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[0], values)
    assert (coded(image), io.losses(image, "pgm")) == (data, [])
    assert io.losses(image, "png") == ["PGM comment"]


def test_what_a_format_cannot_hold_is_said() -> None:
    colour, gray = io.read_image(png_of(picture(4, 4, 4))), io.read_image(png_of(picture(4, 4, 1)))
    assert io.losses(colour, "ppm") == ["alpha"]
    assert io.losses(gray, "ppm") == ["single gray channel (stored as RGB)"]
    with pytest.raises(FileError, match="is in colour and PGM is gray"):
        io.losses(colour, "pgm")
    with pytest.raises(FileError, match="PFM holds light as floats"):
        io.losses(gray, "pfm")
    light = Image(picture(4, 4, 3, np.float32)[None] * 2)
    assert io.losses(light, "pfm") == []
    assert "clipped" in io.losses(light, "ppm")[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5\n2 2\n0\n\0\0\0\0", "maximum of 0"),
        (b"P5\n2 2\n70000\n" + bytes(8), "maximum of 70000"),
        (b"P5\n2 2\n100\n\0\0\0\xff", "beyond its maximum"),
        (b"P2\n2 2\n100\n0 0 0 -1", "beyond its maximum"),
        (b"P2\n2 2\n100\n0 0 0 x", "damaged PGM"),
        (b"P5\n0 2\n255\n", "no pixels"),
        (b"P5\n99999999 99999999\n255\n\0", "more than mdn reads"),
        (b"P5\n1 1\n255\n\0P5\n1 1\n255\n\0", "several pictures"),
        (b"Pf\n1 1\nnan\n\0\0\0\0", "byte order"),
        (b"Pf\n1 1\n-1\n\0\0\xc0\x7f", "NaN or infinite"),
        (b"P5\n", "ends within its header"),
    ],
)
def test_damaged_ones_are_named(data: bytes, words: str) -> None:
    with pytest.raises(FileError, match=words):
        io.read_image(data)
