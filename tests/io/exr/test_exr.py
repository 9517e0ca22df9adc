"""EXR files come back whole: every channel bit for bit, every attribute byte for byte."""

from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from mdn.errors import FileError
from mdn.io import exr
from tests.io.exr import samples

LOSSLESS = ("NO", "RLE", "ZIPS", "ZIP", "PIZ")


def assert_same(first: exr.Exr, second: exr.Exr) -> None:
    assert first.headers.version == second.headers.version
    pairs = zip(first.headers.parts, second.headers.parts, strict=True)
    assert all(list(a.attributes.items()) == list(b.attributes.items()) for a, b in pairs)
    for one, other in zip(first.parts, second.parts, strict=True):
        assert list(one) == list(other)
        assert all(one[key].tobytes() == other[key].tobytes() for key in one)


def round_trip(path: Path) -> exr.Exr:
    first = exr.read(path)
    data, notes = exr.write(first, None)
    assert notes == []
    assert_same(first, exr.read(data))
    return first


@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("make", [samples.header, samples.tiled])
def test_every_lossless_kind(tmp_path: Path, compression: str, make) -> None:
    kind = getattr(OpenEXR, f"{compression}_COMPRESSION")
    planes = samples.channels()
    file = round_trip(samples.write(tmp_path / "a.exr", (make(compression=kind), planes)))
    assert file.headers.parts[0].data_window == samples.WINDOW
    assert file.headers.parts[0].display_window == samples.DISPLAY
    for key, plane in planes.items():
        assert file.parts[0][key].tobytes() == plane.tobytes()


@pytest.mark.parametrize("order", ["DECREASING_Y", "INCREASING_Y"])
def test_line_order(tmp_path: Path, order: str) -> None:
    head = samples.header(lineOrder=getattr(OpenEXR, order))
    file = round_trip(samples.write(tmp_path / "a.exr", (head, samples.channels())))
    assert file.headers.parts[0].attributes["lineOrder"][1] == bytes([order[0] == "D"])


def test_parts_of_different_kinds_and_windows(tmp_path: Path) -> None:
    small = samples.header(dataWindow=samples.box((2, 2, 11, 6)), comments="second")
    parts = [
        (samples.tiled(), samples.channels(1)),
        (small, {"left.Y": np.ones((5, 10), np.float16)}),
        (samples.header(compression=OpenEXR.PIZ_COMPRESSION), samples.channels(2)),
    ]
    file = round_trip(samples.write(tmp_path / "a.exr", *parts))
    assert [part.name for part in file.headers.parts] == ["p0", "p1", "p2"]
    assert [part.tiled for part in file.headers.parts] == [True, False, False]


def test_an_attribute_of_a_type_that_the_library_does_not_know(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    path.write_bytes(samples.with_attribute(path.read_bytes(), "house", "studioType", b"\1\2\3"))
    file = round_trip(path)
    assert file.headers.parts[0].attributes["house"] == ("studioType", b"\1\2\3")


def test_the_output_is_one_that_the_library_reads_the_same(tmp_path: Path) -> None:
    planes = samples.channels()
    path = samples.write(tmp_path / "a.exr", (samples.tiled(), planes))
    exr.write(exr.read(path), tmp_path / "b.exr")
    with OpenEXR.File(str(tmp_path / "b.exr"), separate_channels=True) as file:
        assert (file.header()["owner"], file.header()["samples"]) == ("nobody", 16)
        for key, plane in planes.items():
            assert file.channels()[key].pixels.tobytes() == plane.tobytes()


@pytest.mark.parametrize("compression", ["B44", "DWAA", "PXR24"])
def test_a_lossy_file_is_not_squeezed_twice(tmp_path: Path, compression: str) -> None:
    kind = getattr(OpenEXR, f"{compression}_COMPRESSION")
    planes = {key: plane for key, plane in samples.channels().items() if key in "RGBA"}
    path = samples.write(tmp_path / "a.exr", (samples.header(compression=kind), planes))
    first = exr.read(path)
    data, notes = exr.write(first, None)
    second = exr.read(data)
    for key, plane in first.parts[0].items():
        assert second.parts[0][key].tobytes() == plane.tobytes()
    assert bool(notes) == (second.headers.parts[0].compression == "ZIP")
    kept, notes = exr.write(first, None, frozenset((0, key) for key in planes))
    assert (notes, exr.read(kept).headers.parts[0].compression) == ([], compression)


def test_standard_input(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "a.exr", (samples.header(), samples.channels()))
    assert_same(exr.read(path), exr.read(path.read_bytes()))


def test_openexrs_own_pictures(shared_data: Path) -> None:
    refused = {}
    for path in sorted((shared_data / "test" / "exr").glob("*.exr")):
        try:
            round_trip(path)
        except FileError as problem:
            refused[path.stem] = problem.problem
    assert len(refused) == 4
    assert refused.pop("Chromaticities_Rec709_YC").startswith("has subsampled channels")
    assert set(refused.values()) == {"holds mipmap levels"}
