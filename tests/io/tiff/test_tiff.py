import io as streams
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from tests.io.samples import MAKER_NOTE, XMP, coded, encoded, exif, icc, opened, picture


def tiff(*pages: np.ndarray, **options: Any) -> bytes:
    """A TIFF of pages, without the descriptions that tifffile adds of its own."""
    order, big = options.pop("byteorder", "<"), options.pop("bigtiff", False)
    stream = streams.BytesIO()
    with tifffile.TiffWriter(stream, byteorder=order, bigtiff=big) as writer:
        for page in pages:
            settings: dict[str, Any] = {"metadata": None, "software": False, "contiguous": False}
            writer.write(page, **(settings | options))
    return stream.getvalue()


def rewritten(image: Image, **options: Any) -> tifffile.TiffFile:
    data = coded(image, format="tiff", **options)
    return tifffile.TiffFile(streams.BytesIO(data))


def written(array: np.ndarray, **options: Any) -> bytes:
    """As tifffile writes it by itself."""
    stream = streams.BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def first(file: tifffile.TiffFile | bytes) -> tifffile.TiffPage:
    file = tifffile.TiffFile(streams.BytesIO(file)) if isinstance(file, bytes) else file
    return file.pages[0]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_mode_comes_back_bit_for_bit(channels: int, dtype: type) -> None:
    source = picture(9, 13, channels, dtype)
    if dtype is np.float32:
        source = source * 3 - 1  # beyond 0..1 as well
    colour = "rgb" if channels > 2 else "minisblack"
    extra = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    options = {"planarconfig": "contig"} if channels > 1 else {}
    image = io.read_image(tiff(source, photometric=colour, **extra, **options))
    assert image.pixels.shape == (1, 9, 13, 3 if channels > 2 else 1)
    assert (image.pixels.dtype, image.alpha is not None) == (dtype, channels in (2, 4))
    assert io.losses(image, "tiff") == []
    page = first(rewritten(image))
    assert page.dtype == dtype
    np.testing.assert_array_equal(page.asarray(), source)
    assert tuple(map(int, page.extrasamples)) == ((2,) if channels in (2, 4) else ())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_storage_is_kept(order: str, big: bool, compression: str | None, planar: str) -> None:
    source = picture(40, 36, 3, np.uint16)
    stored = source if planar == "contig" else np.moveaxis(source, -1, 0)
    tile = (16, 32) if planar == "contig" else None
    data = tiff(
        stored, photometric="rgb", planarconfig=planar, byteorder=order, bigtiff=big, tile=tile,
        compression=compression, predictor=compression in ("lzw", "zlib", "zstd"),
    )  # fmt: skip
    before = first(data)
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[0], source)
    file = rewritten(image)
    after = first(file)
    np.testing.assert_array_equal(after.asarray(), stored)
    assert (file.byteorder, file.is_bigtiff) == (order, big)
    for field in ("compression", "predictor", "planarconfig", "is_tiled", "tilelength"):
        assert getattr(after, field) == getattr(before, field), field


def test_jpeg_compression_is_kept_at_the_quality_asked() -> None:
    source = np.zeros((48, 64, 3), np.uint8)
    source[..., 0] = np.linspace(0, 255, 64)
    image = io.read_image(tiff(source, photometric="rgb", compression="jpeg"))
    assert np.abs(image.pixels[0].astype(int) - source).max() < 12
    page = first(rewritten(image, quality=98))
    assert page.compression == tifffile.COMPRESSION.JPEG
    assert np.abs(page.asarray().astype(int) - image.pixels[0]).max() < 5
    gray = io.read_image(tiff(source[..., 0], photometric="minisblack", compression="jpeg"))
    assert first(rewritten(gray)).asarray().shape == (48, 64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_is_zero_is_shown_upright_and_written_back(dtype: type) -> None:
    source = picture(5, 7, 1, dtype)
    image = io.read_image(tiff(source, photometric="miniswhite"))
    np.testing.assert_array_equal(image.pixels[0, ..., 0], np.iinfo(dtype).max - source)
    page = first(rewritten(image))
    assert page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    np.testing.assert_array_equal(page.asarray(), source)


def test_a_palette_is_expanded_at_the_depth_its_colours_need() -> None:
    indices = picture(5, 7, 1)
    coarse = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16) * 257
    image = io.read_image(tiff(indices, photometric="palette", colormap=coarse))
    np.testing.assert_array_equal(image.pixels[0], (coarse // 257).T[indices])
    assert image.pixels.dtype == np.uint8
    fine = coarse ^ 1
    image = io.read_image(tiff(indices, photometric="palette", colormap=fine))
    np.testing.assert_array_equal(image.pixels[0], fine.T[indices])
    assert first(rewritten(image)).photometric == tifffile.PHOTOMETRIC.RGB


def test_a_microscope_palette_only_tints_and_is_kept() -> None:
    source = picture(6, 8, 3).transpose(2, 0, 1)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[1] = np.arange(256) * 257
    note = b"ImageJ=1.53\nimages=3\nslices=3\n\0"
    tags = [(270, 2, 0, note, True)]
    data = tiff(*source, photometric="palette", colormap=colormap, extratags=tags)
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[..., 0], source)
    file = rewritten(image)
    page = first(file)
    assert file.is_imagej
    assert page.photometric == tifffile.PHOTOMETRIC.PALETTE
    np.testing.assert_array_equal(page.colormap, colormap)
    np.testing.assert_array_equal(file.series[0].asarray(), source)


def test_pages_and_their_own_tags_are_kept() -> None:
    pages = [picture(6, 8, 1, np.uint16, seed=seed) for seed in range(4)]
    stream = streams.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, page in enumerate(pages):
            name = b"page %d\0" % number
            tags = [(285, 2, len(name), name, True), (42113, 2, 2, b"0\0", True)]
            writer.write(page, metadata=None, software=False, extratags=tags, contiguous=False)
    image = io.read_image(stream.getvalue())
    assert image.pixels.shape == (4, 6, 8, 1)
    np.testing.assert_array_equal(image.pixels[..., 0], pages)
    file = rewritten(image)
    assert len(file.pages) == 4
    for number, page in enumerate(file.pages):
        assert (page.tags[285].value, page.tags[42113].value) == (f"page {number}", "0")
        np.testing.assert_array_equal(page.asarray(), pages[number])
    with pytest.raises(FileError, match="4 pages and PNG holds one"):
        io.losses(image, "png")
    with pytest.raises(FileError, match="4 pages"):
        coded(image, format="png")


def test_an_imagej_stack_keeps_its_description_and_planes() -> None:
    source = picture(8, 9, 5, np.uint16).transpose(2, 0, 1)
    about = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    data = written(source, imagej=True, resolution=(3.5, 3.5), metadata=about)
    image = io.read_image(data)
    np.testing.assert_array_equal(image.pixels[..., 0], source)
    file = rewritten(image)
    assert file.is_imagej
    assert (file.imagej_metadata["spacing"], file.series[0].axes) == (0.5, "ZYX")
    assert first(file).tags[282].value == first(data).tags[282].value


def test_one_page_that_stands_for_many_planes_is_read_whole() -> None:
    source = picture(8, 9, 5, np.uint16).transpose(2, 0, 1)
    data = written(source, truncate=True)
    assert len(tifffile.TiffFile(streams.BytesIO(data)).pages) == 1
    np.testing.assert_array_equal(io.read_image(data).pixels[..., 0], source)


def test_metadata_is_kept() -> None:
    tags = [
        (270, 2, 0, b"a photograph\0", True),
        (271, 2, 0, b"maker\0", True),
        (315, 2, 0, "Zoë\0".encode(), True),
        (306, 2, 0, b"2024:01:02 03:04:05\0", True),
        (700, 1, len(XMP), XMP, True),
        (33723, 7, 5, b"\x1c\x02\x05\0\1", True),
    ]
    options = {"iccprofile": icc(), "resolution": ((3001, 10), (150, 1)), "resolutionunit": 2}
    data = tiff(picture(5, 6, 3), photometric="rgb", extratags=tags, **options)
    image = io.read_image(data)
    assert (image.meta.icc, image.meta.xmp) == (icc(), XMP)
    assert image.meta.dpi == pytest.approx((300.1, 150))
    page, before = first(rewritten(image)), first(data)
    for code in (270, 271, 282, 283, 296, 306, 315, 700, 33723, 34675):
        assert page.tags[code].value == before.tags[code].value, code
    png = coded(image, format="png")
    assert (opened(png).getexif()[271], io.losses(image, "png")) == ("maker", ["TIFF tags"])


def test_of_two_descriptions_the_first_is_kept() -> None:
    """tifffile writes its own, as JSON, behind the one of the picture."""
    data = written(picture(5, 6, 3), photometric="rgb", description="a photograph")
    assert first(rewritten(io.read_image(data))).tags[270].value == "a photograph"


def test_resolution_turns_with_the_picture() -> None:
    options = {"resolution": ((300, 1), (151, 1)), "resolutionunit": 2}
    turned = [(274, 3, 1, 6, True)]
    source = picture(5, 6, 3)
    image = io.read_image(tiff(source, photometric="rgb", extratags=turned, **options))
    page = first(rewritten(image))
    np.testing.assert_array_equal(page.asarray(), np.rot90(source, -1))
    assert (page.tags[282].value, page.tags[283].value) == ((151, 1), (300, 1))
    assert page.tags[274].value == 1


def test_a_chain_of_pages_that_bites_its_tail_ends() -> None:
    data = bytearray(tiff(picture(4, 4, 1)))
    page = first(bytes(data))
    at = page.offset + 2 + 12 * len(page.tags)
    assert struct.unpack_from("<I", data, at) == (0,)
    struct.pack_into("<I", data, at, page.offset)
    with pytest.raises(FileError, match="no readable page 2"):
        io.read_image(bytes(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_exif_goes_into_a_tiff_and_out_again(order: str, big: bool) -> None:
    photo = io.read_image(encoded(picture(16, 16, 3), "JPEG", exif=b"Exif\0\0" + exif()))
    data = coded(photo, format="tiff")
    block = opened(data).getexif()
    assert (block[0x010F], block.get_ifd(0x8769)[0x8827]) == ("A camera maker", 3200)
    assert (block.get_ifd(0x8769)[0x927C], block.get_ifd(0x8825)[1]) == (MAKER_NOTE, "N")
    again = coded(io.read_image(data), format="jpeg")
    nested = opened(again).getexif().get_ifd(0x8769)
    assert (nested[0x829A], nested[0x927C]) == (pytest.approx(1 / 250), MAKER_NOTE)
    # Through a TIFF of every byte order and width.
    other = io.read_image(tiff(picture(16, 16, 3), photometric="rgb", byteorder=order, bigtiff=big))
    moved = Image(other.pixels, None, io.read_image(data).meta, "x", "tiff")
    result = coded(moved)
    assert opened(result).getexif().get_ifd(0x8769)[0x927C] == MAKER_NOTE


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (picture(5, 5, 1).astype(np.int16), {}, "int16"),
        (picture(5, 5, 1).astype(np.int8), {}, "int8"),
        (picture(5, 5, 1).astype(np.uint32), {}, "uint32"),
        (picture(5, 5, 1).astype(np.float16), {}, "float16"),
        (picture(5, 5, 1).astype(np.float64), {}, "float64"),
        (picture(5, 5, 1).astype(np.complex64), {}, "complex64"),
        (picture(5, 5, 1) > 99, {}, "1-bit"),
        (picture(5, 5, 1, np.uint16) >> 4, {"bitspersample": 12}, "12-bit"),
        (picture(5, 5, 4), {"photometric": "separated"}, "CMYK"),
        (picture(5, 5, 3), {"photometric": "cielab"}, "CIELab"),
        (picture(5, 5, 1), {"photometric": "cfa", "extratags": [(33421, 3, 2, (2, 2), True),
            (33422, 1, 4, b"\0\1\1\2", True)]}, "raw camera"),
        (picture(5, 5, 3), {"photometric": "minisblack", "planarconfig": "contig",
            "extrasamples": [0, 0]}, "3 channels"),
        (picture(5, 5, 2), {"photometric": "minisblack", "planarconfig": "contig",
            "extrasamples": [0]}, "2 channels"),
        (picture(5, 5, 1, np.float32), {"photometric": "miniswhite"}, "meaning"),
    ],
)  # fmt: skip
def test_other_kinds_are_refused_by_name(
    array: np.ndarray, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(FileError, match=message) as caught:
        io.read_image(tiff(array, **options), name="in.tif")
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("other", [picture(5, 6, 1), picture(5, 5, 1, np.uint16)])
def test_pages_of_different_kinds_are_refused(other: np.ndarray) -> None:
    with pytest.raises(FileError, match="different sizes"):
        io.read_image(tiff(picture(5, 5, 1), other))


def test_thumbnail_pages_are_left_out_and_named() -> None:
    stream = streams.BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        writer.write(picture(16, 16, 3), photometric="rgb", metadata=None)
        writer.write(picture(4, 4, 3), photometric="rgb", metadata=None, subfiletype=1)
    image = io.read_image(stream.getvalue())
    assert image.pixels.shape == (1, 16, 16, 3)
    assert io.left_out(image) == ["thumbnail and mask pages"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_counted(value: float) -> None:
    source = picture(5, 6, 1, np.float32)
    source[1, 1:4] = value
    with pytest.raises(FileError, match="3 of 30 samples"):
        io.read_image(tiff(source))


def test_claims_beyond_the_file_are_refused() -> None:
    data = bytearray(tiff(picture(8, 8, 1), compression="zlib"))
    page = first(bytes(data))
    for code in (256, 257, 278):
        struct.pack_into("<I", data, page.tags[code].valueoffset, 60000)
    with pytest.raises(FileError, match="60000 x 60000"):
        io.read_image(bytes(data))


def test_a_description_cannot_open_other_files() -> None:
    xml = (
        b'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        b'<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="6"'
        b' SizeY="5" SizeC="1" SizeZ="2" SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="1"/>'
        b'<TiffData FirstZ="1"><UUID FileName="other.tif">urn:uuid:1</UUID></TiffData>'
        b"</Pixels></Image></OME>\0"
    )
    source = picture(5, 6, 1)
    image = io.read_image(tiff(source, extratags=[(270, 2, 0, xml, True)]))
    np.testing.assert_array_equal(image.pixels[0, ..., 0], source)


@pytest.mark.parametrize("order", ["<", ">"])
def test_fractions_among_private_tags_keep_their_count(order: str) -> None:
    tags = [(286, 5, 1, (3, 2), True), (65000, 10, 3, (1, -2, 3, 4, -5, 6), True)]
    data = written(picture(8, 8, 3), extratags=tags, byteorder=order, metadata=None)
    found = first(rewritten(io.read_image(data))).tags
    assert (found[286].count, found[286].value) == (1, (3, 2))
    assert (found[65000].count, found[65000].value) == (3, (1, -2, 3, 4, -5, 6))
