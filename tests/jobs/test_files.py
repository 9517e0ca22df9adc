"""Writing results: what has not changed is copied, and what a format cannot keep is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.errors import FileError
from mdn.jobs.files import load, save
from mdn.jobs.job import Job
from tests.io.samples import coded, encoded, exif, picture, png, png_of
from tests.jobs.test_running import Recorder


def job(folder: Path, source: str, target: str, data: bytes) -> Job:
    (folder / source).write_bytes(data)
    return Job(folder / source, folder / target, source)


JPEG = encoded(picture(24, 32, 3), "JPEG", quality=60, progressive=True, exif=b"Exif\0\0" + exif(6))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.jxl", "a.avif", "a.webp"])
def test_an_unchanged_picture_is_its_file_byte_for_byte(tmp_path: Path, name: str) -> None:
    form = io.format_of(name)
    data = JPEG if form == "jpeg" else coded(io.read_image(JPEG), format=form)
    assert data is not None
    work, notes = job(tmp_path, name, "out" + name[1:], data), Recorder()
    image = load(work)
    assert save(work, image, notes, original=image.pixels) is False
    assert ((tmp_path / ("out" + name[1:])).read_bytes(), notes.said) == (data, [])
    with pytest.raises(FileError, match="another run"):  # a copy replaces nothing either
        save(work, image, notes, original=image.pixels)


LOSSY = {"jpeg": {}, "webp": {"quality": 90}, "tiff": {"compression": "jpeg"}}
LOSSLESS = {"png": {}, "bmp": {}, "webp": {"lossless": True}, "tiff": {"compression": "tiff_lzw"}}
CASES = [
    *((format, options, False) for format, options in LOSSLESS.items()),
    *((format, options, True) for format, options in LOSSY.items()),
]


@pytest.mark.parametrize(("format", "options", "lossy"), CASES)
def test_a_quality_that_is_given_is_for_lossy_files_alone(
    tmp_path: Path, format: str, options: dict, lossy: bool
) -> None:
    data = encoded(picture(24, 32, 3), format, **options)
    suffix = io.FORMATS[format].suffixes[0]
    work = job(tmp_path, f"a{suffix}", f"b{suffix}", data)
    image = load(work)
    assert save(work, image, Recorder(), original=image.pixels) is False
    assert (tmp_path / f"b{suffix}").read_bytes() == data
    again = replace(work, overwrite=True)
    assert (
        save(again, image, Recorder(), jpeg_quality=30, original=image.pixels, recode=True) is lossy
    )
    assert ((tmp_path / f"b{suffix}").read_bytes() == data) is not lossy
    changed = replace(image, pixels=image.pixels // 2)
    assert save(again, changed, Recorder(), original=image.pixels) is True


@pytest.mark.parametrize("reason", ["pixels", "format", "quality", "not asked"])
def test_what_has_changed_is_written_anew(tmp_path: Path, reason: str) -> None:
    work = job(tmp_path, "a.jpg", "b.png" if reason == "format" else "b.jpg", JPEG)
    image = load(work)
    before = None if reason == "not asked" else image.pixels
    if reason == "pixels":
        image = replace(image, pixels=255 - image.pixels)
    recode = reason == "quality"
    assert save(work, image, Recorder(), original=before, recode=recode) is True
    assert work.target.read_bytes() != JPEG
    assert np.asarray(io.read_image(work.target).pixels).shape == image.pixels.shape


def test_a_depth_that_png_is_not_written_with_is_said(tmp_path: Path) -> None:
    work, notes = job(tmp_path, "a.png", "b.png", png(8, 1, 1, 0, b"\0\x55")), Recorder()
    assert save(work, load(work), notes) is True
    assert notes.said == ["samples of 1 bit are written with 8"]


def test_a_name_that_says_another_format_is_named(tmp_path: Path) -> None:
    work, notes = job(tmp_path, "a.jpg", "b.jpg", png_of(picture(24, 32, 3))), Recorder()
    image = load(work)
    save(work, replace(image, pixels=image.pixels // 2), notes)
    assert notes.said == ["is a PNG file by its content, JPEG by its name: written as JPEG"]
