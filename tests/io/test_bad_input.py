"""Files that are not what they should be, or too large: one error each, quickly and in silence."""

import io as streams
import json
import os
import random
import struct
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn import io
from mdn.errors import FileError, OutOfMemoryError
from mdn.image import Image, Metadata
from mdn.io.base import COPIES, memory_limit
from tests.io.samples import XMP, chunk, coded, encoded, exif, icc, picture, png, png_of

PHOTO = Image(picture(20, 24, 3)[None], None, Metadata(icc(), exif(), XMP, (300, 300)))


def test_missing_empty_and_unreadable(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no\.png: does not exist"):
        io.read_image(tmp_path / "no.png")
    with pytest.raises(FileError, match="is a directory"):
        io.read_image(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(FileError, match=r"empty\.png: is empty"):
        io.read_image(tmp_path / "empty.png")
    with pytest.raises(FileError, match="standard input: is empty"):
        io.read_image(b"")
    with pytest.raises(FileError, match="not a regular file"):
        io.read_image(Path(os.devnull))
    with pytest.raises(FileError, match="cannot be read"):
        io.read_image(tmp_path / "a\0b.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FileError, match="not a regular file"):
        io.read_image(tmp_path / "pipe.png")


def test_a_file_without_read_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(png_of(picture(4, 4, 1)))

    def refused(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refused)  # it would not bind a superuser
    with pytest.raises(FileError, match=r"secret\.png: may not be read; change its permissions"):
        io.read_image(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello, this is text", "not a picture"),
        (b"GIF89a" + bytes(50), "GIF"),
        (b"\0\0\0\x20ftypheic" + bytes(50), "HEIC"),
        (b"\0\0\0\x20ftypavif" + bytes(50), "AVIF"),
        (b"\xff\x0a", "damaged JPEG XL"),
        (b"v/1\x01" + bytes(50), "OpenEXR"),
        (b"%PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "ends before"),
        (b"\xff\xd8\xff\xd9", "ends before"),
        (b"BM", "damaged BMP"),
        (b"II*\0", "damaged TIFF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message) as caught:
        io.read_image(data, name="x")
    assert str(caught.value).startswith("x: ")
    assert "\n" not in str(caught.value)


def test_zero_sizes() -> None:
    for width, height in ((0, 5), (5, 0), (0, 0)):
        with pytest.raises(FileError, match="no pixels"):
            io.read_image(png(width, height, 8, 2, b""))


def bombs() -> list[tuple[str, bytes]]:
    jpeg = bytearray(encoded(picture(16, 16, 3), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", jpeg, at, 65500, 65500)
    lossless = bytearray(encoded(picture(16, 16, 3), "WEBP", lossless=True))
    struct.pack_into("<I", lossless, lossless.index(b"VP8L") + 9, 0x3FFF | 0x3FFF << 14)
    bmp = bytearray(encoded(picture(16, 16, 3), "BMP"))
    struct.pack_into("<ii", bmp, 18, 30000, 30000)
    inflated = b"\0" + bytes(1000)
    return [
        ("png, more than the cap", png(60000, 60000, 8, 2, inflated)),
        ("png, 16-bit below the cap", png(20000, 20000, 16, 6, inflated)),
        ("jpeg", bytes(jpeg)),
        ("webp", bytes(lossless)),
        ("bmp", bytes(bmp)),
    ]


@pytest.mark.parametrize(("kind", "data"), bombs(), ids=[kind for kind, _ in bombs()])
def test_bombs_end_small(kind: str, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    tracemalloc.start()
    with pytest.raises(FileError):
        io.read_image(data, name=kind)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**31
    assert capfd.readouterr().err == ""


def test_data_beyond_the_pixels_is_not_inflated(capfd: pytest.CaptureFixture[str]) -> None:
    image = io.read_image(png(2, 2, 8, 2, bytes(2**24)))
    assert not image.pixels.any()
    assert capfd.readouterr().err == ""


def cuttable() -> dict[str, tuple[bytes, int]]:
    """Files by their kind, and how many bytes at the end may be missing from them unnoticed."""
    small, large = picture(9, 9, 3), picture(40, 50, 3)
    files: dict[str, tuple[bytes, int]] = {
        "png": (png_of(small, chunk(b"tEXt", b"a\0b")), 0),
        "bmp": (encoded(small, "BMP"), 1),  # which fills up a row
        "webp": (encoded(large, "WEBP"), 0),
        "webp, lossless": (encoded(large, "WEBP", lossless=True), 0),
        "jpeg": (encoded(large, "JPEG", exif=b"Exif\0\0" + exif()), 0),
        "jpeg, progressive": (encoded(large, "JPEG", progressive=True), 0),
        "pgm": (b"P5\n# a\n7 5\n4095\n" + bytes(70), 0),
        "pgm in words": (b"P2\n2 2\n255\n100 101 102 103\n", 3),
    }
    for compression in (None, "lzw", "zlib", "jpeg"):
        stream = streams.BytesIO()
        tifffile.imwrite(
            stream, large, photometric="rgb", compression=compression, rowsperstrip=8,
            predictor=compression == "lzw", metadata=None,
        )  # fmt: skip
        files[f"tiff, {compression}"] = stream.getvalue(), 0
    return files


@pytest.mark.parametrize("kind", cuttable())
def test_what_is_cut_short_is_an_error(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    data, spare = cuttable()[kind]
    for length in {*range(1, len(data) - spare, max(1, len(data) // 120)), len(data) - spare - 1}:
        with pytest.raises(FileError) as caught:
            io.read_image(data[:length], name="cut")
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("format", list(io.FORMATS))
def test_random_damage_never_escapes(format: str, capfd: pytest.CaptureFixture[str]) -> None:
    pixels = PHOTO.pixels[..., :1] if format == "pgm" else PHOTO.pixels
    pixels = pixels.astype(np.float32) if format == "pfm" else pixels
    whole = coded(replace(PHOTO, pixels=pixels), format=format)
    chance = random.Random(format)
    outcomes = {"read": 0, "refused": 0}
    said: list[str] = []
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            # Half of the damage in the head, where the structure is.
            end = 200 if chance.random() < 0.5 else len(data)
            data[chance.randrange(min(end, len(data)))] = chance.choice([0, 1, 127, 128, 255])
        try:
            image = io.read_image(bytes(data), name="damaged")
        except FileError as problem:
            said.append(str(problem))
            outcomes["refused"] += 1
        else:
            assert image.pixels.dtype in (np.uint8, np.uint16, np.float32)
            assert image.pixels.ndim == 4
            assert image.pixels.size > 0
            outcomes["read"] += 1
    assert min(outcomes.values()) > 0
    assert not any("\n" in line for line in said)
    assert capfd.readouterr().err == ""


def test_deep_and_circular_directories_end() -> None:
    # A directory that is its own EXIF directory, and one with more entries than the file has bytes.
    circular = b"II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x8769, 4, 1, 8, 0)
    crowded = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 65535, 0x8769, 4, 1, 8)
    for block in (circular, crowded):
        data = encoded(picture(8, 8, 3), "PNG", exif=b"Exif\0\0" + block)
        image = io.read_image(data)
        assert image.meta.exif == block
        assert coded(image, format="tiff") is not None


WORKER = """
import json, resource, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
from mdn import io
from mdn.errors import FileError
resource.setrlimit(resource.RLIMIT_AS, (2 * 2**30, 2 * 2**30))
results = []
for path in map(Path, json.load(sys.stdin)):
    shape, problem = None, None
    try:
        image = io.read_image(path)
        shape = [*image.pixels.shape, str(image.pixels.dtype)]
    except FileError as error:
        problem = str(error)
    results.append([path.name, shape, problem])
print(json.dumps(results))
"""


def test_hostile_files(shared_data: Path) -> None:
    folders = ("png", "jpeg", "webp", "bmp", "tiff", "mixed")
    paths = [str(path) for name in folders for path in (shared_data / "hostile" / name).iterdir()]
    assert len(paths) > 200
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", WORKER, json.dumps(sys.path)],
        input=json.dumps(paths), capture_output=True, text=True, timeout=300, env=environment,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stderr == ""
    results = json.loads(result.stdout)
    assert len(results) == len(paths)
    for name, shape, problem in results:
        if shape is None:
            assert name in problem
            assert "\n" not in problem
        else:
            assert shape[0] >= 1
            assert shape[1] * shape[2] >= 1
            assert shape[3] in (1, 3)
            assert shape[4] in ("uint8", "uint16", "float32")


SIDE = 300


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_does_not_fit_is_refused(suffix: str, dtype: type, tmp_path: Path) -> None:
    if dtype == np.uint16 and suffix not in (".png", ".tif"):
        pytest.skip("holds 8 bits")
    path = tmp_path / f"a{suffix}"
    io.write_image(Image(np.full((1, SIDE, SIDE, 3), 9, dtype)), path)
    held = COPIES * SIDE * SIDE * 3 * np.dtype(dtype).itemsize
    with memory_limit(held // 2, 2**30), pytest.raises(OutOfMemoryError) as caught:
        io.read_image(path)
    assert str(caught.value).startswith(f"{SIDE} x {SIDE} pixels need --max-memory ")
    with memory_limit(2 * held, 2**30):  # 8-bit formats may count an alpha that is not there
        assert io.read_image(path).pixels.shape == (1, SIDE, SIDE, 3)
    assert io.read_image(path).pixels.dtype == dtype
