import io as streams
import re
import struct
from functools import partial

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import JpegImagePlugin

from mdn import io
from mdn.errors import FileError
from mdn.image import Image
from tests.io.samples import MAKER_NOTE, XMP, coded, encoded, exif, icc, opened, picture

PHOTO = picture(61, 83, 3, seed=3)
written = partial(coded, format="jpeg")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": 2, "quality": 30},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 1, "optimize": True},
        {"progressive": True, "restart_marker_blocks": 2},
    ],
)
def test_every_coding_is_read_as_pillow_reads_it(channels: int, options: dict[str, int]) -> None:
    data = encoded(picture(61, 83, channels), "JPEG", **options)
    image = io.read_image(data)
    assert image.format == "jpeg"
    assert image.alpha is None
    expected = np.asarray(opened(data)).reshape(1, 61, 83, channels)
    np.testing.assert_array_equal(image.pixels, expected)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (16, 17), (7, 300)])
def test_flat_and_tiny_pictures_are_not_taken_for_cut_ones(shape: tuple[int, int]) -> None:
    for value in (0, 128, 255):
        data = encoded(np.full((*shape, 3), value, np.uint8), "JPEG", quality=95)
        assert (io.read_image(data).pixels == value).all()


def test_metadata_is_kept() -> None:
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 40 + b"<x/>"
    resources = b"Photoshop 3.0\x008BIM" + struct.pack(">HHI", 0x0404, 0, 4) + b"IPTC"
    extra = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        for marker, body in ((0xED, resources), (0xE1, extended))
    )
    profile = icc() * 150  # spans several segments
    assert len(profile) > 65536
    data = encoded(
        PHOTO, "JPEG", exif=b"Exif\0\0" + exif(), icc_profile=profile, xmp=XMP, dpi=(300, 150),
        comment=b"a remark", extra=extra,
    )  # fmt: skip
    image = io.read_image(data)
    assert io.losses(image, "jpeg") == []
    result = opened(written(image))
    assert (result.info["exif"], result.info["icc_profile"]) == (b"Exif\0\0" + exif(), profile)
    assert (result.info["xmp"], result.info["dpi"]) == (XMP, (300, 150))
    assert result.info["comment"] == b"a remark"
    assert result.info["photoshop"] == {0x0404: b"IPTC"}
    assert extended in written(image)
    assert result.getexif().get_ifd(0x8769)[0x927C] == MAKER_NOTE
    assert io.losses(image, "png") == ["JPEG comment", "IPTC", "extended XMP"]


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [60, 95])
def test_a_jpeg_stays_coded_as_it_was(progressive: bool, sampling: int, quality: int) -> None:
    data = encoded(PHOTO, "JPEG", quality=90, subsampling=sampling, progressive=progressive)
    result = opened(written(io.read_image(data), quality=quality))
    assert isinstance(result, JpegImagePlugin.JpegImageFile)
    assert bool(result.info.get("progressive")) is progressive
    assert JpegImagePlugin.get_sampling(result) == sampling


@pytest.mark.parametrize(("quality", "sampling"), [(60, 2), (89, 2), (90, 0), (95, 0)])
def test_what_was_no_jpeg_has_full_colour_from_90_on(quality: int, sampling: int) -> None:
    result = opened(written(Image(PHOTO[None]), quality=quality))
    assert isinstance(result, JpegImagePlugin.JpegImageFile)
    assert JpegImagePlugin.get_sampling(result) == sampling
    assert not result.info.get("progressive")


def test_cmyk_is_refused_by_name() -> None:
    stream = streams.BytesIO()
    Pillow.fromarray(picture(16, 16, 3)).convert("CMYK").save(stream, "JPEG")
    with pytest.raises(FileError, match=r"CMYK.*convert it to RGB.*magick FILE"):
        io.read_image(stream.getvalue())


def test_a_further_picture_is_reported_and_a_stereo_pair_refused_by_name() -> None:
    stream = streams.BytesIO()
    frames = [Pillow.fromarray(picture(16, 16, 3, seed=seed)) for seed in (1, 2)]
    frames[0].save(stream, "MPO", save_all=True, append_images=frames[1:])
    image = io.read_image(stream.getvalue())
    np.testing.assert_array_equal(image.pixels[0], np.asarray(opened(stream.getvalue())))
    assert io.left_out(image) == ["further pictures in the file"]
    data = bytearray(stream.getvalue())
    entry = data.index(struct.pack("<HHI", 0xB002, 7, 32))
    index = data.index(b"MPF\0") + 4 + struct.unpack_from("<I", data, entry + 8)[0]
    for at in (index, index + 16):
        struct.pack_into("<I", data, at, 0x020002)
    with pytest.raises(FileError, match="is an MPO of 2 views of one scene; save the one"):
        io.read_image(bytes(data), name="pair.mpo")


def test_missing_rows_before_a_proper_end_are_an_error() -> None:
    # What a download manager or a repair tool leaves: half the data, closed as if complete.
    data = encoded(PHOTO, "JPEG", quality=90)
    start = data.index(b"\xff\xda") + 14
    for length in range(start, len(data) - 40, 53):
        with pytest.raises(FileError, match="ends before its picture"):
            io.read_image(data[:length] + b"\xff\xd9")


def test_thousands_of_scans_are_refused() -> None:
    data = encoded(PHOTO, "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    scan = data[last:-2]
    with pytest.raises(FileError, match="scans"):
        io.read_image(data[:-2] + scan * 300 + b"\xff\xd9")


def test_a_size_that_the_data_cannot_fill_is_refused() -> None:
    data = encoded(PHOTO, "JPEG")
    frame = re.search(rb"\xff\xc0..\x08(....)", data, re.DOTALL)
    huge = data[: frame.start(1)] + struct.pack(">HH", 20000, 20000) + data[frame.end(1) :]
    with pytest.raises(FileError, match="too little data for 20000 x 20000"):
        io.read_image(huge)
    vast = data[: frame.start(1)] + struct.pack(">HH", 65535, 65535) + data[frame.end(1) :]
    with pytest.raises(FileError, match="more than mdn reads"):
        io.read_image(vast)


def test_blocks_too_large_for_a_segment_are_dropped_and_named() -> None:
    image = io.read_image(encoded(PHOTO, "PNG", exif=b"Exif\0\0" + exif() + bytes(70000)))
    assert io.losses(image, "jpeg") == ["EXIF"]
    assert "exif" not in opened(written(image)).info
