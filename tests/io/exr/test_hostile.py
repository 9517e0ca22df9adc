"""Damaged EXR files: a clear error, soon, and never the end of the process."""

from pathlib import Path

import numpy as np
import pytest

from mdn.errors import FileError
from mdn.io import exr
from tests.io.exr import samples


def test_damaged_files_of_the_collection(shared_data: Path) -> None:
    files = sorted((shared_data / "hostile" / "exr").glob("*.exr"))
    read = 0
    for path in files:
        try:
            file = exr.read(path)
        except FileError:
            continue
        read += 1
        exr.write(file, None)
    assert len(files) > 70
    assert read <= 5  # files that a fuzzer changed without harm


def test_cut_short_anywhere(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    data = path.read_bytes()
    for length in (3, 8, 60, 300, 600, len(data) // 2, len(data) - 40):
        with pytest.raises(FileError):
            exr.read(data[:length], name="cut")


def test_flipped_bits_in_the_header_never_escape(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.tiled(), samples.channels()))
    data, random = path.read_bytes(), np.random.default_rng(0)
    refused = []
    for _ in range(150):
        broken = bytearray(data)
        broken[random.integers(4, 700)] ^= 1 << random.integers(8)
        try:
            file = exr.read(bytes(broken), name="flipped")
        except FileError as error:
            refused.append(str(error))
        else:
            assert len(file.parts) == len(file.headers.parts)
    assert 0 < len(refused) < 150
    assert all(line.startswith("flipped: ") for line in refused)


def test_a_claim_of_many_pixels_allocates_nothing(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    data, old = path.read_bytes(), np.array(samples.WINDOW, "<i4").tobytes()
    for window in [(-5, 3, 30000, 30000), (-5, 3, 2**31 - 1, 26), (7, 7, 6, 9)]:
        claimed = data.replace(old, np.array(window, "<i4").tobytes(), 1)
        with pytest.raises(FileError):
            exr.read(claimed, name="claims")


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("import os; os.abort()", "crashes"),
        ("import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), 11)", "crashes"),
        ("import time; time.sleep(60)", "too long"),
    ],
)
def test_what_the_library_does_to_its_process(tmp_path: Path, script: str, told: str) -> None:
    (tmp_path / "bad.py").write_text(script)
    seconds = 1.0 if told == "too long" else 60.0  # a busy machine takes long to start one
    process = exr.Child(str(tmp_path / "bad.py"), seconds=seconds)
    with pytest.raises(FileError, match=told):
        process.ask("a.exr", {"what": "read", "path": "a.exr"}, 0)
    with pytest.raises(FileError, match=told):  # and the next file gets a process of its own
        process.ask("b.exr", {"what": "read", "path": "b.exr"}, 0)


def test_one_process_serves_many_files(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    exr.read(path)
    process = exr.CHILD._process
    with pytest.raises(FileError):
        exr.read(path.read_bytes()[:-60], name="cut")
    exr.read(path)
    assert process is not None
    assert exr.CHILD._process is process
