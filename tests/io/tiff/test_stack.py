"""Stacks of every kind: what is not a pixel comes back to the byte, what is a pixel as written."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from mdn.errors import FileError, UsageError
from mdn.io.tiff.rewrite import rewrite
from mdn.io.tiff.stack import open_stack

POSITIONS = {273, 279, 324, 325, 330}  # where segments and levels lie: all that may change


def noise(*shape: int, dtype: Any = np.uint16, seed: int = 0) -> np.ndarray:
    """Smooth enough to compress, noisy enough to differ everywhere."""
    drawn = np.random.default_rng(seed).integers(0, 100, shape)
    return drawn.astype(dtype)


def turned(path: Path, target: Path, chosen: Iterable[int] | None = None, band: int = 37) -> None:
    """Writes every chosen plane with 7 added, `band` rows at a time."""
    with open_stack(path) as stack, rewrite(stack, target) as out:
        for number, plane in enumerate(stack.planes):
            if chosen is not None and number not in chosen:
                continue
            with out.page([plane]) as writer:
                for top in range(0, plane.rows.height, band):
                    rows = plane.rows.read(top, min(top + band, plane.rows.height))
                    writer.write(top, rows + rows.dtype.type(7))


def directories(path: Path) -> list[dict[int, tuple[object, ...]]]:
    """Every tag of every directory, nested ones included, as raw bytes, positions left out."""
    found = []
    with tifffile.TiffFile(path, _multifile=False) as file:
        pages = [page.aspage() for page in file.pages]
        pages += [
            below.aspage() for page in pages for below in page.pages or [] if page.subifds
        ]  # fmt: skip
        for page in pages:
            rows = {}
            for tag in page.tags:
                if tag.code not in POSITIONS:
                    file.filehandle.seek(tag.valueoffset)
                    raw = file.filehandle.read(tag.valuebytecount)
                    rows[tag.code] = (int(tag.dtype), tag.count, raw)
            found.append(rows)
    return found


def compare(before: Path, after: Path, expected: np.ndarray | None = None) -> None:
    """Every tag is as it was, and so is all that tifffile makes of them."""
    assert directories(after) == directories(before)
    with tifffile.TiffFile(before) as a, tifffile.TiffFile(after) as b:
        for field in ("byteorder", "is_bigtiff", "ome_metadata", "flags"):
            assert getattr(a, field) == getattr(b, field), field
        assert str(a.imagej_metadata) == str(b.imagej_metadata)
        assert len(a.series) == len(b.series)
        for one, other in zip(a.series, b.series, strict=True):
            for field in ("axes", "shape", "dtype", "kind", "name"):
                assert getattr(one, field) == getattr(other, field), field
            assert [level.shape for level in one.levels] == [level.shape for level in other.levels]
            for field in ("compression", "predictor", "photometric", "planarconfig", "is_tiled"):
                assert getattr(one.keyframe, field) == getattr(other.keyframe, field), field
        wanted = a.series[0].asarray() + 7 if expected is None else expected
        np.testing.assert_array_equal(b.series[0].asarray(), wanted)


def test_an_ome_tiff_keeps_its_xml_axes_names_and_units(tmp_path: Path) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    tifffile.imwrite(
        path, noise(2, 3, 2, 40, 52), ome=True, photometric="minisblack", compression="zlib",
        resolution=(1e4 / 0.29, 1e4 / 0.29), resolutionunit="CENTIMETER",
        metadata={
            "axes": "TZCYX", "PhysicalSizeX": 0.29, "PhysicalSizeXUnit": "µm", "TimeIncrement": 0.1,
            "Channel": {"Name": ["DAPI", "GFP"], "Color": [255, 16711935]},
            "Plane": {"PositionX": [0.5] * 12},
        },
    )  # fmt: skip
    turned(path, target)
    compare(path, target)
    with open_stack(target) as stack:
        assert (stack.axes, stack.shape) == ("TZCYX", (2, 3, 2, 40, 52))
        assert stack.planes[7].where == {"T": 1, "Z": 0, "C": 1}
        assert [plane.channel for plane in stack.planes] == [0, 1] * 6
        assert "DAPI" in (stack.file.ome_metadata or "")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_imagej_hyperstack_keeps_ranges_labels_tables_and_scale(
    tmp_path: Path, dtype: type
) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    ramp = np.arange(256, dtype=np.uint8)
    tables = [np.stack([ramp, ramp * 0, ramp]), np.stack([ramp * 0, ramp, ramp])]
    tifffile.imwrite(
        path, noise(3, 4, 2, 30, 41, dtype=dtype), imagej=True, resolution=(3.7, 3.7),
        metadata={
            "axes": "TZCYX", "unit": "um", "spacing": 0.4, "finterval": 1.5, "mode": "composite",
            "Ranges": (1.0, 90.0, 3.0, 70.0), "LUTs": tables, "Info": "from a microscope",
            "Labels": [f"plane {i}" for i in range(24)],
        },
    )  # fmt: skip
    turned(path, target)
    compare(path, target)
    with tifffile.TiffFile(target) as file:
        np.testing.assert_array_equal(file.imagej_metadata["LUTs"][1], tables[1])
        assert file.imagej_metadata["Labels"][23] == "plane 23"


def test_one_directory_for_many_planes(tmp_path: Path) -> None:
    """As ImageJ writes stacks beyond 4 GB, and tifffile truncated ones."""
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, noise(5, 30, 41), truncate=True, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == 1
    turned(path, target)
    compare(path, target)
    turned(path, tmp_path / "c.tif", chosen={1, 3})
    source = tifffile.imread(path)
    source[[1, 3]] += 7
    compare(path, tmp_path / "c.tif", source)


COMPRESSIONS = ("lzw", "zlib", "packbits", "lzma", "zstd", "jpeg2000", "jpegxl", "png", "lerc")


@pytest.mark.parametrize("tile", [None, (32, 48)])
@pytest.mark.parametrize("compression", [None, *COMPRESSIONS, "webp", "jpegxr"])
def test_every_compression_stays_what_it_was(
    tmp_path: Path, compression: str | None, tile: tuple[int, int] | None
) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    pixels = noise(3, 50, 70, dtype=np.uint8 if compression in ("png", "webp") else np.uint16)
    options: dict[str, Any] = {"photometric": "minisblack"}
    if compression == "webp":
        pixels = noise(50, 70, 3, dtype=np.uint8)
        options = {"photometric": "rgb", "compressionargs": {"lossless": True}}
    tifffile.imwrite(path, pixels, compression=compression, tile=tile, rowsperstrip=16, **options)
    turned(path, target)
    compare(path, target, pixels + pixels.dtype.type(7))
    # And nothing is lost by doing it again, where segments no longer lie in order.
    turned(target, tmp_path / "c.tif", chosen={0}, band=16)
    if pixels.ndim == 3 and pixels.shape[-1] != 3:
        pixels[0] += 7
    else:
        pixels = pixels + pixels.dtype.type(7)
    np.testing.assert_array_equal(
        tifffile.imread(tmp_path / "c.tif"), pixels + pixels.dtype.type(7)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "f4", "u4", "f8", "i1", "f2"])
def test_every_depth_in_either_byte_order(tmp_path: Path, order: str, dtype: str) -> None:
    for predictor in (False, dtype[1] != "8" and dtype != "f2"):
        path, target = tmp_path / "a.tif", tmp_path / f"b{predictor}.tif"
        pixels = noise(2, 40, 33, dtype=np.dtype(dtype)) - np.dtype(dtype).type(dtype[0] == "i")
        tifffile.imwrite(
            path, pixels, byteorder=order, compression="zlib", predictor=predictor,
            photometric="minisblack", bigtiff=predictor,
        )  # fmt: skip
        turned(path, target)
        compare(path, target)


def test_jpeg_tiles_stay_jpeg(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    ramp = np.linspace(0, 200, 96)[None, :, None] + np.zeros((64, 1, 3))
    tifffile.imwrite(
        path, ramp.astype(np.uint8), photometric="rgb", tile=(32, 32), compression="jpeg",
        subsampling=(2, 2),
    )  # fmt: skip
    turned(path, target)
    assert directories(path) == directories(target)
    wanted = tifffile.imread(path).astype(int) + 7
    assert np.abs(tifffile.imread(target) - wanted).max() < 8


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_samples_of_a_pixel_that_are_channels(tmp_path: Path, planar: str) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    pixels = noise(40, 52, 5) if planar == "contig" else noise(5, 40, 52)
    tifffile.imwrite(
        path, pixels, photometric="minisblack", planarconfig=planar, compression="zlib",
        extrasamples=[0] * 4, rowsperstrip=16, metadata=None,
    )  # fmt: skip
    with open_stack(path) as stack:
        assert [plane.where["C"] for plane in stack.planes] == [0, 1, 2, 3, 4]
        channel = stack.planes[3].read()[..., 0]
        np.testing.assert_array_equal(channel, pixels[..., 3] if planar == "contig" else pixels[3])
    turned(path, target, chosen={0})  # the five share their rows
    compare(path, target)


def pyramid(path: Path, levels: int = 3) -> np.ndarray:
    """A tiled, pyramidal OME BigTIFF of two channels, as Bio-Formats and QuPath write them."""
    base = noise(2, 200, 330)
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as writer:
        options: dict[str, Any] = {
            "tile": (64, 64), "photometric": "minisblack", "compression": "zlib", "predictor": True,
        }  # fmt: skip
        writer.write(base, subifds=levels - 1, metadata={"axes": "CYX"}, **options)
        for level in range(1, levels):
            writer.write(base[:, :: 2**level, :: 2**level], subfiletype=1, **options)
    return base


def test_a_pyramid_is_rebuilt_for_the_planes_that_changed(tmp_path: Path) -> None:
    path, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    base = pyramid(path)
    turned(path, target, chosen={1})
    clean = base.copy()
    clean[1] += 7
    compare(path, target, clean)
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(target) as after:
        for level in (1, 2):
            old, new = (file.series[0].levels[level].asarray() for file in (before, after))
            np.testing.assert_array_equal(new[0], old[0])
        half = clean[1].astype(float).reshape(100, 2, 165, 2).mean((1, 3))
        np.testing.assert_allclose(after.series[0].levels[1].asarray()[1], half, atol=0.5)
        quarter = after.series[0].levels[2].asarray()[1]
        assert quarter.shape == (50, 83)
        assert abs(quarter.mean() - clean[1].mean()) < 1


def test_what_a_file_left_out_stays_out(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tiles = [noise(32, 32), None, noise(32, 32, seed=1), None]
    tifffile.imwrite(
        path, iter(tiles), shape=(64, 64), dtype=np.uint16, tile=(32, 32), compression="zlib",
        photometric="minisblack",
    )  # fmt: skip
    turned(path, target)
    after = tifffile.imread(target)
    np.testing.assert_array_equal(after[:32, :32], tiles[0] + 7)
    assert not after[:, 32:].any()


def test_segments_that_grow_go_to_the_end(tmp_path: Path) -> None:
    """An even picture packs into bytes whose count TIFF holds in 16 bits; noise does not."""
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, np.zeros((256, 256), np.uint16), compression="zlib", rowsperstrip=256)
    pixels = np.random.default_rng(0).integers(0, 65536, (256, 256, 1)).astype(np.uint16)
    with open_stack(path) as stack, rewrite(stack, target) as out:
        plane = stack.planes[0]
        with out.page([plane]) as writer:
            writer.write(0, pixels)
    np.testing.assert_array_equal(tifffile.imread(target), pixels[..., 0])


def test_pages_of_several_sizes_are_several_pictures(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(noise(20, 30), metadata=None)
        writer.write(noise(25, 31), metadata=None)
    turned(path, target)
    with tifffile.TiffFile(target) as file:
        np.testing.assert_array_equal(file.pages[1].asarray(), noise(25, 31) + 7)


def test_axes_can_be_named_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(3, 2, 20, 30), photometric="minisblack")
    with open_stack(path, "TCYX") as stack:
        assert (stack.axes, stack.planes[3].where) == ("TCYX", {"T": 1, "C": 1})
    for wrong in ("TYX", "TTYX", "TCXY", "TCZX", "1CYX"):
        with pytest.raises(UsageError, match="--axes"), open_stack(path, wrong):
            pass


def test_axes_tell_slices_from_colours(tmp_path: Path) -> None:
    """Of three or four planes tifffile makes the colours of one picture."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(4, 20, 30), photometric="rgb", planarconfig="separate")
    with open_stack(path) as stack:
        assert [plane.samples for plane in stack.planes] == [(0, 1, 2)]
        assert not stack.measured
    for axes, channels in (("ZYX", [0, 0, 0, 0]), ("CYX", [0, 1, 2, 3])):
        with open_stack(path, axes) as stack:
            assert [plane.where for plane in stack.planes] == [{axes[0]: i} for i in range(4)]
            assert [plane.channel for plane in stack.planes] == channels
            assert stack.measured
    with pytest.raises(UsageError, match="as SYX"), open_stack(path, "YXS"):
        pass


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (noise(9, 9) > 50, {}, "1-bit"),
        (noise(9, 9), {"bitspersample": 12}, "12-bit"),
        (noise(9, 9, dtype=np.complex64), {}, "complex64"),
        (noise(9, 9, 4, dtype=np.uint8), {"photometric": "separated"}, "CMYK"),
    ],
)
def test_what_cannot_be_given_back_is_refused_by_name(
    tmp_path: Path, pixels: np.ndarray, options: dict[str, Any], message: str
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **options)
    with pytest.raises(FileError, match=message), open_stack(path):
        pass


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, noise(20, 30))
    with pytest.raises(ZeroDivisionError), open_stack(path) as stack, rewrite(stack, target):
        raise ZeroDivisionError
    assert [each.name for each in tmp_path.iterdir()] == ["a.tif"]


def test_the_collection_comes_back(shared_data: Path, tmp_path: Path) -> None:
    files = sorted((shared_data / "test" / "tiff").glob("*.tif"))
    assert len(files) > 15
    for path in files:
        target = tmp_path / path.name
        turned(path, target)
        with tifffile.TiffFile(path) as file:
            pixels = file.series[0].asarray()
        compare(path, target, pixels + pixels.dtype.type(7))


def smooth(path: Path, target: Path) -> None:
    """Writes pictures that pack into next to nothing."""
    with open_stack(path) as stack, rewrite(stack, target) as out:
        for plane in stack.planes:
            with out.page([plane]) as writer:
                writer.write(0, plane.rows.read(0, plane.rows.height) // 1000 + 5)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_segments_that_shrink_leave_all_else_in_its_place(
    tmp_path: Path, order: str, big: bool
) -> None:
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as writer:
        for number in range(3):
            writer.write(
                noise(100, 120, seed=number), compression="zlib", tile=(32, 32), metadata=None,
                description=f"page {number}, a text that needs room", datetime=True,
                resolution=(3.5, 3.5), extratags=[(34675, 7, 99, b"\1" * 99, True)],
            )  # fmt: skip
    smooth(path, target)
    with tifffile.TiffFile(path) as file:
        compare(path, target, np.full_like(file.series[0].asarray(), 5))
    assert target.stat().st_size == path.stat().st_size
    with tifffile.TiffFile(target) as file:
        assert all((page.asarray() == 5).all() for page in file.pages)


KINDS: dict[str, dict[str, Any]] = {
    "raw": {},
    "zlib": {"compression": "zlib", "predictor": True},
    "foreign zlib": {"compression": "zlib", "compressionargs": {"level": 1}},
    "tiles": {"tile": (16, 32), "compression": "lzw"},
    "jpeg": {"tile": (32, 32), "compression": "jpeg"},
}


def two_levels(path: Path, kind: str) -> Path:
    """Two planes, and a smaller level that is not the mean of the larger one."""
    values = noise(2, 80, 70, dtype=np.uint8 if kind == "jpeg" else np.float32)
    if kind != "jpeg":
        values[:, 3, 4] = np.nan
    how = {"photometric": "minisblack"} | KINDS[kind]
    with tifffile.TiffWriter(path) as writer:
        writer.write(values, subifds=1, **how)
        writer.write(values[:, ::2, ::2], subfiletype=1, **how)
    return path


def copied(source: Path, target: Path, spot: tuple[int, int] | None, rounds: int = 1) -> None:
    """Writes both planes back as they are, but for one sample of the first in the last round."""
    with open_stack(source) as stack, rewrite(stack, target, 30) as out:
        for plane in stack.planes:
            with out.page([plane]) as writer:
                for number in range(rounds):
                    rows = plane.rows.read(0, plane.rows.height).copy()
                    other = spot if number == rounds - 1 else (79, 69)
                    if other is not None and plane.number == 0:
                        rows[other] = 77
                    for top in range(0, len(rows), 37):
                        writer.write(top, rows[top : top + 37])


@pytest.mark.parametrize("kind", KINDS)
def test_samples_that_are_what_they_were_leave_the_file_as_it_was(
    tmp_path: Path, kind: str
) -> None:
    source, target = two_levels(tmp_path / "a.tif", kind), tmp_path / "b.tif"
    copied(source, target, None)
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unchanged_in_the_end_has_the_samples_of_the_source(
    tmp_path: Path, kind: str
) -> None:
    source, target = two_levels(tmp_path / "a.tif", kind), tmp_path / "b.tif"
    copied(source, target, None, rounds=2)
    with tifffile.TiffFile(source) as a, tifffile.TiffFile(target) as b:
        for before, after in zip(a.series[0].levels, b.series[0].levels, strict=True):
            np.testing.assert_array_equal(after.asarray(), before.asarray())


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_segment_of_a_changed_sample_is_coded_again(tmp_path: Path, kind: str) -> None:
    source, target = two_levels(tmp_path / "a.tif", kind), tmp_path / "b.tif"
    copied(source, target, (0, 0), rounds=2)
    with tifffile.TiffFile(source) as a, tifffile.TiffFile(target) as b:
        before, after = (f.series[0].asarray() for f in (a, b))
        assert before[0, 0, 0] != after[0, 0, 0]
        np.testing.assert_array_equal(after[:, 32:], before[:, 32:])
        np.testing.assert_array_equal(after[1], before[1])
        small = [f.series[0].levels[1].asarray() for f in (a, b)]
        assert not np.array_equal(small[0][0], small[1][0], equal_nan=kind != "jpeg")
        np.testing.assert_array_equal(small[1][1], small[0][1])
