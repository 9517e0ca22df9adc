"""JPEG XL, AVIF and HEIC: depths, alpha, colours, metadata, damage."""

import io as streams
import struct
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from mdn import io
from mdn.errors import FileError
from mdn.image import Image, Metadata
from mdn.io.base import rescaled
from mdn.io.colour import Cicp, profile
from mdn.io.photo import boxes
from tests.io.samples import XMP, coded, exif, icc, picture

heif = pytest.importorskip("pillow_heif")
pytest.importorskip("pillow_jxl")

FORMATS = ("jxl", "avif", "heic")
P3, PQ, HLG = (12, 13), (9, 16), (9, 18)


def back(image: Image, format: str, quality: int = 95) -> Image:
    return io.read_image(coded(image, format, quality))


def made(channels: int, bits: int, **meta: object) -> Image:
    """A picture of 40 x 56 that uses so many bits of a sample."""
    whole = picture(40, 56, channels, np.uint8 if bits == 8 else np.uint16)
    if bits > 8:
        whole = rescaled((whole >> (16 - bits)).astype(np.uint16), 2**bits - 1, 65535)
    whole = whole.reshape(1, 40, 56, channels)
    colours = 1 if channels < 3 else 3
    alpha = whole[..., -1] if channels in (2, 4) else None
    used = bits if 8 < bits < 16 else None
    return Image(whole[..., :colours], alpha, Metadata(bits=used, **meta))


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_lossless_keeps_every_sample(format: str, bits: int, channels: int) -> None:
    if bits == 16 and format != "jxl":
        pytest.skip("holds 12 bits at most")
    image = made(channels, bits)
    again = back(image, format, quality=100)
    gray_alpha = format == "heic" and channels == 2
    expected = np.repeat(image.pixels, 3, -1) if gray_alpha else image.pixels
    assert np.array_equal(again.pixels, expected)
    assert (again.pixels.dtype, again.meta.bits) == (image.pixels.dtype, image.meta.bits)
    if image.alpha is not None:
        assert again.alpha is not None
        assert np.array_equal(again.alpha, image.alpha)


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_lossless_is_written_so_and_other_quality_is_near(format: str) -> None:
    image = back(made(3, 8), format, quality=100)
    assert np.array_equal(back(image, format, quality=30).pixels, image.pixels)
    lossy = back(made(3, 8), format, quality=90)
    error = np.abs(lossy.pixels.astype(int) - made(3, 8).pixels).mean()
    assert 0 < error < 12
    worse = back(made(3, 8), format, quality=40)
    assert np.abs(worse.pixels.astype(int) - made(3, 8).pixels).mean() > error


@pytest.mark.parametrize("format", FORMATS)
def test_metadata_comes_along(format: str) -> None:
    image = made(4, 8, icc=icc(), exif=exif(), xmp=XMP)
    assert io.losses(image, format) == []
    meta = back(image, format).meta
    assert (meta.icc, meta.exif) == (icc(), exif())
    # Its header has turned the pixels: an orientation in XMP no longer holds.
    assert meta.xmp == XMP.replace(b'Orientation="6"', b'Orientation="1"')


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("colour", [P3, PQ, HLG], ids=["P3", "PQ", "HLG"])
@pytest.mark.parametrize("bits", [8, 10])
def test_colours_by_number_come_back(format: str, colour: tuple[int, int], bits: int) -> None:
    image = made(3, bits, cicp=colour)
    again = back(image, format)
    assert again.meta.cicp == colour
    error = np.abs(again.pixels / np.iinfo(again.pixels.dtype).max
                   - image.pixels / np.iinfo(image.pixels.dtype).max).mean()  # fmt: skip
    assert error < 0.02


def test_colours_by_number_go_through_png_and_become_profiles_elsewhere() -> None:
    image = back(made(3, 10, cicp=PQ), "avif")
    assert back(image, "png").meta.cicp == PQ
    assert io.losses(image, "tiff") == ["colour space BT.2020 PQ"]
    wide = made(3, 8, cicp=P3)
    assert (io.losses(wide, "jpeg"), back(wide, "jpeg").meta.icc) == ([], profile(Cicp(*P3)))
    assert io.losses(made(3, 8, cicp=(1, 13)), "jpeg") == []
    assert back(made(3, 8, cicp=(1, 13)), "jpeg").meta.icc is None


@pytest.mark.parametrize("format", ["avif", "heic"])
def test_sixteen_bits_become_twelve_and_it_is_said(format: str) -> None:
    image = made(3, 16)
    assert io.losses(image, format) == ["16-bit depth (stored as 12-bit)"]
    again = back(image, format, quality=100)
    assert again.meta.bits == 12
    assert np.abs(again.pixels.astype(int) - image.pixels).max() <= 65535 / 4095 / 2 + 1
    assert io.losses(made(3, 12), format) == []
    assert io.losses(made(3, 10), "jpeg") == ["10-bit depth"]


def test_floats_stay_floats_in_jpeg_xl() -> None:
    values = picture(20, 24, 3, np.float32)[None] * 4
    again = back(Image(values.astype(np.float32)), "jxl")
    assert np.array_equal(again.pixels, values)
    assert again.meta.cicp is None


def test_how_bright_a_picture_is_comes_along() -> None:
    light = {"content_light_level": {"max_content_light_level": 900,
                                     "max_pic_average_light_level": 80}}  # fmt: skip
    image = made(3, 10, cicp=PQ, private={"heic": {"light": light}})
    assert back(back(image, "heic"), "heic").meta.private["heic"]["light"] == light
    clli = [(b"clli", struct.pack(">HH", 900, 80))]
    image = made(3, 10, cicp=PQ, private={"avif": {"light": clli}})
    assert back(back(image, "avif"), "avif").meta.private["avif"]["light"] == clli


ARROW = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_rotation_in_the_header_is_followed_once(turn: int) -> None:
    """What libheif writes for each orientation of EXIF, and what must be seen of it."""
    big = np.kron(ARROW, np.ones((32, 32), np.uint8))
    stream = streams.BytesIO()
    block = exif(turn)
    heif.encode("L", big.shape[::-1], big.tobytes(), stream, quality=-1, exif=block,
                matrix_coefficients=0, full_range_flag=1)  # fmt: skip
    image = io.read_image(stream.getvalue())
    mirrored = big[:, ::-1] if turn in (2, 3, 6, 7) else big
    flipped = mirrored[::-1] if turn in (3, 4, 7, 8) else mirrored
    if turn >= 5:
        flipped = big.T
        flipped = flipped[:, ::-1] if turn in (6, 7) else flipped
        flipped = flipped[::-1] if turn in (7, 8) else flipped
    assert np.array_equal(image.pixels[0, ..., 0], flipped)
    assert io.read_image(coded(image, "png")).pixels.shape == image.pixels.shape


@pytest.mark.parametrize(
    ("rotation", "mirror", "expected"),
    [
        (1, None, np.rot90(ARROW)),
        (3, None, np.rot90(ARROW, 3)),
        (0, 0, ARROW[::-1]),
        (0, 1, ARROW[:, ::-1]),
        (1, 0, np.rot90(ARROW)[::-1]),
        (3, 1, np.rot90(ARROW, 3)[:, ::-1]),
    ],
)
def test_avif_is_turned_then_mirrored(
    rotation: int, mirror: int | None, expected: np.ndarray
) -> None:
    from mdn.io.photo.heif import add_items

    data = imagecodecs.avif_encode(np.kron(ARROW, np.ones((8, 8), np.uint8)), level=100)
    properties = [(b"irot", bytes([rotation]))]
    properties += [] if mirror is None else [(b"imir", bytes([mirror]))]
    image = io.read_image(add_items(bytes(data), properties, exif(6), None))
    assert np.array_equal(image.pixels[0, 4::8, 4::8, 0], expected)
    assert back(image, "png").pixels.shape == image.pixels.shape  # EXIF does not turn it again


def test_avif_is_cut_where_it_says_so() -> None:
    from mdn.io.photo.heif import add_items

    whole = picture(40, 56, 1)
    data = imagecodecs.avif_encode(whole, level=100)
    clap = struct.pack(">8i", 20, 1, 10, 1, -8, 1, 5, 1)  # 20 x 10, its middle to the left and down
    image = io.read_image(add_items(bytes(data), [(b"clap", clap)], None, None))
    assert np.array_equal(image.pixels[0, ..., 0], whole[20:30, 10:30])


def test_films_and_several_pictures_are_refused_by_name() -> None:
    frames = np.stack([picture(16, 16, 3)] * 3)
    with pytest.raises(FileError, match="is an animated JPEG XL; save the frame"):
        io.read_image(bytes(imagecodecs.jpegxl_encode(frames)), name="x")
    with pytest.raises(FileError, match="is an animated AVIF; save the frame"):
        io.read_image(bytes(imagecodecs.avif_encode(frames)), name="x")
    both = heif.from_bytes("RGB", (16, 16), frames[0].tobytes())
    both.add_frombytes("RGB", (16, 16), frames[1].tobytes())
    stream = streams.BytesIO()
    both.save(stream)
    with pytest.raises(FileError, match="is a HEIC of 2 pictures; save the one"):
        io.read_image(stream.getvalue(), name="x")


def test_heic_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = coded(made(3, 8), "heic")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(FileError, match=r"pip install 'mdn\[heif\]'"):
        io.read_image(data, name="x.heic")


def test_colours_that_python_cannot_decode_are_refused() -> None:
    """A profile of a lossy file: the decoder would give linear light of 8 bits."""
    data = coded(made(3, 8, icc=icc()), "jxl")
    from mdn.io.photo.jxl_header import Bits, read_header

    assert read_header(data).icc
    bits = Bits(data)
    assert bits.take(16) == 0x0AFF
    lossy = bytearray(data)
    for at in range(16, 80):  # whichever bit says that colours are stored as perceived
        lossy[at // 8] ^= 1 << at % 8
        try:
            header = read_header(bytes(lossy))
        except ValueError:
            header = None
        if header and header.xyb and header.icc and header.width == 56:
            break
        lossy[at // 8] ^= 1 << at % 8
    with pytest.raises(FileError, match="colour profile that mdn cannot decode; djxl"):
        io.read_image(bytes(lossy), name="x")


@pytest.mark.parametrize("format", FORMATS)
def test_sizes_that_no_memory_holds_are_refused(format: str) -> None:
    image = made(3, 8)
    data = bytearray(coded(image, format))
    if format == "jxl":
        # A size of 20 bits each way, in the 30-bit form, then a header without surprises.
        size, at = 0x0AFF | 3 << 17 | (2**20 - 1) << 19, 49 + 3
        size |= 3 << at | (2**20 - 1) << at + 2 | 3 << at + 32
        with pytest.raises(FileError, match="claims 1048576 x 1048576"):
            io.read_image(size.to_bytes(12, "little") + bytes(data[12:]), name="x")
        return
    at = data.index(b"ispe") + 8
    struct.pack_into(">II", data, at, 2**20, 2**20)
    with pytest.raises(FileError, match="claims 1048576 x 1048576"):
        io.read_image(bytes(data), name="x")


def test_real_files(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "test" / "formats"
    hdr = io.read_image(folder / "10bit-HDR-P3-nclx.avif")
    assert ((hdr.meta.cicp, hdr.meta.bits), hdr.pixels.dtype) == (((12, 16), 10), np.uint16)
    small = replace(hdr, pixels=np.ascontiguousarray(hdr.pixels[:, :200, :200]))
    for format in FORMATS:
        again = back(small, format)
        assert (again.meta.cicp, again.meta.bits) == ((12, 16), 10)
        assert (again.meta.exif, again.meta.xmp) == (hdr.meta.exif, hdr.meta.xmp)
    phone = io.read_image(folder / "IMG_2682.heic")
    assert phone.pixels.shape == (1, 3024, 4032, 3)
    assert phone.meta.icc is not None
    assert b"iPhone 7" in (phone.meta.exif or b"")
    assert io.read_image(folder / "8bit-sRGB.jxl").meta.private["jxl"] == "lossless"


def test_exif_without_its_offset_is_kept_too() -> None:
    """As some programs write JPEG XL."""
    data = coded(made(3, 8, exif=exif(6)), "jxl")
    usual, bare = boxes.box(b"Exif", boxes.exif_body(exif(6))), boxes.box(b"Exif", exif(6))
    assert usual in data
    again = io.read_image(data.replace(usual, bare)).meta.exif
    assert again == io.read_image(data).meta.exif
    assert again is not None
