import struct
import zlib
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp

from mdn import io
from mdn.errors import FileError
from tests.io.samples import XMP, chunk, chunks_of, coded, exif, icc, picture, png, png_of, unpng

RGB_TRIPLES = bytes([10, 20, 30, 200, 0, 7, 0, 255, 9, 1, 2, 3])
GRAY_TRIPLES = bytes([0, 0, 0, 90, 90, 90, 255, 255, 255, 3, 3, 3])
FOUR_INDICES = b"\0" + bytes([0b00011011])


def stored(image_bytes: bytes) -> tuple[np.ndarray, np.ndarray | None]:
    image = io.read_image(image_bytes)
    assert (image.format, image.pixels.shape[0]) == ("png", 1)
    return image.pixels[0], None if image.alpha is None else image.alpha[0]


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        st.tuples(st.integers(1, 5), st.integers(1, 6), st.sampled_from([1, 2, 3, 4])),
    )
)
def test_any_samples_survive(source: np.ndarray) -> None:
    channels = source.shape[-1]
    source = source[..., 0] if channels == 1 else source
    image = io.read_image(png_of(source))
    assert image.pixels.dtype == source.dtype  # of the file, whatever the maximum is
    assert (image.alpha is not None) == (channels in (2, 4))
    written = unpng(coded(image))
    assert written.dtype == source.dtype
    np.testing.assert_array_equal(written, source)  # colours under a transparent alpha, too


@pytest.mark.parametrize(
    ("bits", "row", "expected"),
    [
        (1, 0b01100000, [0, 255, 255, 0]),
        (2, 0b00011011, [0, 85, 170, 255]),
        (4, None, [0x11, 0xBB, 0xEE, 0x44]),
    ],
)
def test_small_gray_depths_span_eight_bits(bits: int, row: int | None, expected: list[int]) -> None:
    rows = b"\0" + (bytes([row]) if row is not None else bytes([0x1B, 0xE4]))
    pixels, alpha = stored(png(4, 1, bits, 0, rows))
    assert alpha is None
    assert pixels[0, :, 0].tolist() == expected


PROFILE = chunk(b"iCCP", b"p\0\0" + zlib.compress(icc()))


@pytest.mark.parametrize(
    ("colours", "profile", "transparent", "channels", "expected"),
    [
        (RGB_TRIPLES, b"", b"", 3, None),
        (RGB_TRIPLES, b"", b"\0\x80", 3, [0, 128, 255, 255]),
        (GRAY_TRIPLES, b"", b"", 1, None),
        (GRAY_TRIPLES, b"", b"\x07", 1, [7, 255, 255, 255]),
        (GRAY_TRIPLES, PROFILE, b"", 3, None),  # which is of RGB
    ],
)
def test_a_palette_becomes_rgb_or_gray(
    colours: bytes, profile: bytes, transparent: bytes, channels: int, expected: list[int] | None
) -> None:
    key = chunk(b"tRNS", transparent) if transparent else b""
    data = png(4, 1, 2, 3, FOUR_INDICES, profile, chunk(b"PLTE", colours), key)
    pixels, alpha = stored(data)
    assert pixels.tobytes() == (colours if channels == 3 else colours[::3])
    assert (None if alpha is None else alpha.tolist()) == (expected and [expected])
    written = chunks_of(coded(io.read_image(data)))
    assert written[0][1][9] == {1: 0, 3: 2}[channels] + (4 if expected else 0)
    assert b"PLTE" not in dict(written)


def test_a_colour_key_becomes_alpha_at_sixteen_bits() -> None:
    source = picture(3, 4, 3, np.uint16)
    key = chunk(b"tRNS", source[1, 2].astype(">u2").tobytes())
    pixels, alpha = stored(png_of(source, key))
    expected = np.full((3, 4), 65535, np.uint16)
    expected[1, 2] = 0
    np.testing.assert_array_equal(pixels, source)
    np.testing.assert_array_equal(alpha, expected)


def test_interlaced_pictures_are_read() -> None:
    source = picture(13, 11, 3)
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    rows = b"".join(
        b"\0" + line.tobytes()
        for top, left, down, right in (*passes, (1, 0, 2, 1))
        for line in source[top::down, left::right]
    )
    pixels, _ = stored(png(11, 13, 8, 2, rows, adam7=True))
    np.testing.assert_array_equal(pixels, source)


def test_metadata_and_colour_chunks_are_kept() -> None:
    sent = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"cHRM", struct.pack(">8I", *range(31270, 31278))),
        (b"cICP", bytes([9, 16, 0, 1])),
        (b"tEXt", b"Author\0somebody"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"words " * 50)),
        (b"iTXt", "Title\0\0\0de\0Titel\0Größe".encode()),
        (b"pHYs", struct.pack(">IIB", 11811, 5906, 1)),
        (b"eXIf", exif()),
    ]
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(icc()))
    packet = chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    source = picture(5, 5, 3, np.uint16)
    image = io.read_image(png_of(source, *(chunk(*item) for item in sent), profile, packet))
    assert (image.meta.icc, image.meta.exif, image.meta.xmp) == (icc(), exif(), XMP)
    assert image.meta.dpi == pytest.approx((300, 150), abs=0.02)
    assert io.losses(image, "png") == []
    written = coded(image)
    result = chunks_of(written)
    for item in sent:
        assert item in result
    again = io.read_image(written)
    assert again.meta == image.meta
    assert dict(result)[b"iCCP"].endswith(zlib.compress(icc()))
    before_pixels = [kind for kind, _ in result][: [kind for kind, _ in result].index(b"IDAT")]
    assert {b"gAMA", b"cHRM", b"cICP", b"iCCP"} <= set(before_pixels)


def kept(data: bytes, *kinds: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of some kinds in what is written of a PNG."""
    written = coded(io.read_image(data))
    every = chunks_of(written)
    assert [kind for kind, _ in every][-1] == b"IEND"
    places = {kind: at for at, (kind, _) in enumerate(every)}
    assert all(places[kind] < places[b"IDAT"] for kind in kinds if kind in places)
    return [each for each in every if each[0] in kinds]


def test_time_and_offset_are_kept() -> None:
    sent = [
        (b"tIME", struct.pack(">HBBBBB", 2024, 2, 29, 23, 59, 60)),
        (b"oFFs", struct.pack(">iiB", -7, 12, 1)),
    ]
    data = png_of(picture(5, 5, 3), *(chunk(*item) for item in sent))
    assert kept(data, b"tIME", b"oFFs") == sent


WORD = struct.Struct(">H").pack
TRIPLE = struct.Struct(">3H").pack
KEY = chunk(b"tRNS", WORD(1))
PALETTE, GRAYS = chunk(b"PLTE", RGB_TRIPLES), chunk(b"PLTE", GRAY_TRIPLES)
SHADES = chunk(b"tRNS", b"\7")


@pytest.mark.parametrize(
    ("bits", "colour", "extra", "significant", "ground", "expected"),
    [
        # as it came, where nothing is converted
        (8, 0, [], b"\5", WORD(200), (b"\5", WORD(200))),
        (16, 2, [], b"\x0a\x0b\x0c", TRIPLE(1, 2, 65535), (b"\x0a\x0b\x0c", TRIPLE(1, 2, 65535))),
        (8, 4, [], b"\5\3", WORD(9), (b"\5\3", WORD(9))),
        (8, 6, [], b"\5\6\5\1", TRIPLE(1, 2, 3), (b"\5\6\5\1", TRIPLE(1, 2, 3))),
        # fewer bits become 8; a key becomes alpha
        (4, 0, [], b"\3", WORD(5), (b"\3", WORD(85))),
        (2, 0, [KEY], b"\2", WORD(3), (b"\2\x08", WORD(255))),
        (16, 0, [KEY], b"\x0c", WORD(4095), (b"\x0c\x10", WORD(4095))),
        # a palette becomes RGB, or gray, with or without alpha
        (2, 3, [PALETTE], b"\5\6\5", b"\2", (b"\5\6\5", TRIPLE(0, 255, 9))),
        (2, 3, [PALETTE, SHADES], b"\5\6\5", b"\1", (b"\5\6\5\x08", TRIPLE(200, 0, 7))),
        (2, 3, [GRAYS], b"\5\6\5", b"\1", (b"\6", WORD(90))),
        (2, 3, [GRAYS, SHADES], b"\5\5\5", b"\3", (b"\5\x08", WORD(3))),
        # what fits no picture of its own kind is left out
        (8, 2, [], b"\5", WORD(200), (None, None)),
        (8, 0, [], b"\x09", WORD(256), (None, None)),
        (8, 0, [], b"\0", b"", (None, None)),
        (2, 3, [PALETTE], b"\5\6\5\5", b"\7", (None, None)),
    ],
)
def test_significant_bits_and_background_suit_what_is_written(
    bits: int, colour: int, extra: list[bytes], significant: bytes, ground: bytes, expected: tuple
) -> None:
    width = 4
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rows = FOUR_INDICES if colour == 3 else b"\0" + bytes(width * samples * bits // 8)
    data = png(
        width, 1, bits, colour, rows, chunk(b"sBIT", significant), *extra, chunk(b"bKGD", ground)
    )
    pairs = zip((b"sBIT", b"bKGD"), expected, strict=True)
    written = [(kind, body) for kind, body in pairs if body is not None]
    assert kept(data, b"sBIT", b"bKGD") == written


def test_what_is_said_of_other_samples_is_not_written() -> None:
    data = png_of(picture(5, 5, 3), chunk(b"sBIT", b"\5\6\5"), chunk(b"bKGD", TRIPLE(1, 2, 3)))
    image = io.read_image(data)
    gray = coded(replace(image, pixels=image.pixels[..., :1]))
    assert not {b"sBIT", b"bKGD"} & set(dict(chunks_of(gray)))


def test_too_few_rows_behind_good_checksums_are_an_error() -> None:
    with pytest.raises(FileError):
        io.read_image(png(10, 10, 8, 0, (b"\0" + bytes(10)) * 5))


def test_a_damaged_comment_costs_only_the_comment() -> None:
    comment = bytearray(chunk(b"tEXt", b"Author\0somebody"))
    comment[-1] ^= 1
    source = picture(4, 4, 1)
    image = io.read_image(png_of(source, bytes(comment)))
    np.testing.assert_array_equal(image.pixels[0, ..., 0], source)
    assert "png" not in image.meta.private


def test_an_inflation_bomb_in_a_profile_is_left_out() -> None:
    bomb = chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2**26)))
    image = io.read_image(png_of(picture(4, 4, 3), bomb))
    assert image.meta.icc is None


def test_animation_is_refused_and_one_frame_is_not() -> None:
    source = picture(4, 4, 3)
    two = png_of(source, chunk(b"acTL", struct.pack(">II", 2, 0)))
    with pytest.raises(FileError, match="animated"):
        io.read_image(two)
    one = png_of(source, chunk(b"acTL", struct.pack(">II", 1, 0)))
    np.testing.assert_array_equal(io.read_image(one).pixels[0], source)
