"""OME-Zarr in and out: clean pixels and levels, everything else to the byte."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mdn.commands import denoise
from mdn.io import STORES
from mdn.io.zarr import open_zarr
from mdn.io.zarr.rewrite import rewrite_zarr
from mdn.jobs.job import BatchResult, Unheard
from mdn.jobs.planning import plan
from mdn.stacks import PlaneSelection
from tests.commands.tools import request

zarr = pytest.importorskip("zarr")

AXES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def denoised(
    source: Path, target: Path | str, planes: PlaneSelection | None = None, **named: Any
) -> BatchResult:
    named = {"model": "unittest", "tile": 64} | named
    overwrite = named.pop("overwrite", False)
    jobs = plan([str(source)], str(target), overwrite=overwrite).jobs
    asked = request(planes=planes or PlaneSelection(), **named)
    return denoise.run(jobs, asked, Unheard())


def store(
    path: Path, version: int = 2, axes: str = "tczyx", shape: tuple[int, ...] = (1, 2, 4, 96, 80),
    chunks: tuple[int, ...] = (1, 1, 1, 32, 40), dtype: str = "uint16", **more: Any,
) -> Path:  # fmt: skip
    """A noisy OME-Zarr with two smaller levels, labels, and a file that is nobody's."""
    root = zarr.open_group(path, mode="w", zarr_format=version)
    rng = np.random.default_rng(0)
    large = np.rint(rng.normal(1000, 60, shape)).astype(dtype)
    names = []
    for level, by in enumerate((1, 2, 4)):
        part = large[..., ::by, ::by]
        sizes = tuple(map(min, chunks, part.shape))
        array = root.create_array(str(level), shape=part.shape, chunks=sizes, dtype=dtype, **more)
        array[...] = part
        names.append({"path": str(level)})
    about = {
        "multiscales": [
            {"axes": [{"name": a, "type": AXES[a]} for a in axes], "datasets": names}
        ],
        "omero": {"channels": [{"color": "00FF00"}]},
    }  # fmt: skip
    root.attrs.update({"ome": {"version": "0.5"} | about} if version == 3 else about)
    labels = root.create_group("labels/cells")
    labels.attrs.update({"image-label": {}, "multiscales": [{"datasets": [{"path": "0"}]}]})
    labels.create_array("0", shape=(8, 8), dtype="uint8")[...] = 3
    (path / "notes.txt").write_text("from Tuesday")
    return path


def files(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*") if p.is_file()
    }  # fmt: skip


def is_chunk_of_level(name: str) -> bool:
    return name[0] in "012" and not name.endswith((".zarray", "zarr.json", ".zattrs"))


@pytest.mark.parametrize(
    ("version", "more"),
    [
        (2, {}),
        (2, {"order": "F"}),
        (3, {}),
        (3, {"shards": (1, 1, 2, 96, 80)}),
        (3, {"chunks": (1, 2, 1, 32, 80)}),
        (2, {"dtype": "float32"}),
        (2, {"dtype": ">u2"}),
    ],
)
def test_pixels_are_clean_and_the_rest_is_as_it_was(
    version: int, more: dict[str, Any], tmp_path: Path
) -> None:
    if "shards" in more:
        root = store(tmp_path / "a.ome.zarr", 3)
        array = zarr.open_group(root, mode="r+")
        large = array["0"][...]
        sharded = array.create_array(
            "0", shape=large.shape, chunks=(1, 1, 1, 32, 40), shards=more["shards"],
            dtype="uint16", overwrite=True,
        )  # fmt: skip
        sharded[...] = large
    else:
        root = store(tmp_path / "a.ome.zarr", version, **more)
    before = files(root)
    outcome = denoised(root, tmp_path / "b.ome.zarr").outcomes[0]
    assert outcome.status == "ok", outcome.error
    assert outcome.details["encoding"] == "counts"
    assert outcome.details["planes"] == 8
    assert files(root) == before
    after = files(tmp_path / "b.ome.zarr")
    assert set(after) == set(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed
    assert all(is_chunk_of_level(name) for name in changed)
    noisy, clean = (zarr.open_group(p, mode="r") for p in (root, tmp_path / "b.ome.zarr"))
    for level in "012":
        assert clean[level].metadata == noisy[level].metadata
    assert (clean["0"][...] != noisy["0"][...]).mean() > 0.5
    large = clean["0"][...].astype(float)
    blocks = large.reshape(1, 2, 4, 48, 2, 40, 2).mean((4, 6))
    assert np.abs(clean["1"][...] - blocks).max() <= 0.5 + 1e-3


def test_a_plane_is_what_it_is_in_a_tiff(tmp_path: Path) -> None:
    import tifffile

    root = store(tmp_path / "a.ome.zarr", shape=(1, 1, 3, 96, 80))
    stack = zarr.open_group(root, mode="r")["0"][...]
    tifffile.imwrite(tmp_path / "a.ome.tif", stack[0, 0], metadata={"axes": "ZYX"}, ome=True)
    for suffix in (".ome.zarr", ".ome.tif"):
        assert denoised(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}").exit_code == 0
    clean = zarr.open_group(tmp_path / "b.ome.zarr", mode="r")["0"][0, 0]
    assert np.array_equal(clean, tifffile.imread(tmp_path / "b.ome.tif"))


@pytest.mark.parametrize("chunks", [(1, 1, 1, 32, 40), (1, 2, 4, 32, 40)])
def test_planes_that_were_not_chosen_stay(chunks: tuple[int, ...], tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr", chunks=chunks)
    assert denoised(root, tmp_path / "b.zarr", PlaneSelection(channels="1", z="1-2")).exit_code == 0
    noisy, clean = (zarr.open_group(p, mode="r") for p in (root, tmp_path / "b.zarr"))
    for level in "012":
        same = (noisy[level][...] == clean[level][...]).all((3, 4))[0]
        assert same.tolist() == [[True] * 4, [True, False, False, True]]


def test_levels_that_shrink_in_z_too(tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr")
    group = zarr.open_group(root, mode="r+")
    group.create_array("1", shape=(1, 2, 2, 48, 40), dtype="uint16", overwrite=True)[...] = 7
    group.create_array("2", shape=(1, 2, 1, 24, 20), dtype="uint16", overwrite=True)[...] = 7
    assert denoised(root, tmp_path / "b.zarr").exit_code == 0
    clean = zarr.open_group(tmp_path / "b.zarr", mode="r")
    blocks = clean["0"][...].astype(float).reshape(1, 2, 2, 2, 48, 2, 40, 2).mean((3, 5, 7))
    assert np.abs(clean["1"][...] - blocks).max() <= 0.5 + 1e-3


def test_what_is_keep_empty(tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr")
    chunk = sorted(p for p in files(root) if p.startswith("0/") and is_chunk_of_level(p))[0]
    (root / chunk).unlink()
    assert denoised(root, tmp_path / "b.zarr").exit_code == 0
    assert not (tmp_path / "b.zarr" / chunk).exists()


def _no_multiscales(root: Path) -> None:
    (root / ".zattrs").write_text("{}")


def _bare_array(root: Path) -> None:
    for old in (".zgroup", ".zattrs"):
        (root / old).unlink(missing_ok=True)
    for each in (root / "0").iterdir():
        shutil.move(each, root / f"bare{each.name}" if each.is_dir() else root / each.name)


def _broken_json(root: Path) -> None:
    (root / "0" / ".zarray").write_text("{")


def _wrong_path(root: Path) -> None:
    about = json.loads((root / ".zattrs").read_text())
    about["multiscales"][0]["datasets"][0]["path"] = "../../elsewhere"
    (root / ".zattrs").write_text(json.dumps(about))


def _short_chunks(root: Path) -> None:
    for path in files(root):
        if path.startswith("0/") and is_chunk_of_level(path):
            (root / path).write_bytes(b"1234")


def _no_chunks(root: Path) -> None:
    for path in files(root):
        if path.startswith("0/") and is_chunk_of_level(path):
            (root / path).unlink()
    shutil.rmtree(root / "0" / "0", ignore_errors=True)


def _huge(root: Path) -> None:
    about = json.loads((root / "0" / ".zarray").read_text()) | {"shape": [2**30, 2, 4, 96, 80]}
    (root / "0" / ".zarray").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_no_multiscales, "has no OME multiscales"),
        (_bare_array, "has no OME multiscales"),
        (_broken_json, "is a damaged Zarr store"),
        (_wrong_path, "is a damaged Zarr store"),
        (_short_chunks, "is a damaged Zarr store"),
        (_no_chunks, "without any pixels"),
        (_huge, "claims more than"),
    ],
)
def test_damaged_stores_end_in_one_line(damage: Any, complaint: str, tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr")
    damage(root)
    outcome = denoised(root, tmp_path / "b.zarr").outcomes[0]
    assert outcome.status == "failed"
    assert complaint in outcome.error
    assert "\n" not in outcome.error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr"]


def test_only_a_store_becomes_a_store(tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr")
    assert "can only become another" in denoised(root, tmp_path / "b.tif").outcomes[0].error
    assert "own input" in denoised(root, root / "b.zarr").outcomes[0].error


def test_another_store_is_replaced_when_asked(tmp_path: Path) -> None:
    root = store(tmp_path / "a.zarr")
    old = store(tmp_path / "b.zarr", shape=(1, 1, 1, 40, 40))
    assert denoised(root, f"{old}/", overwrite=True).exit_code == 0
    assert zarr.open_group(old, mode="r")["0"].shape == (1, 2, 4, 96, 80)
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "diary.txt").touch()
    outcome = denoised(root, tmp_path / "c.zarr", overwrite=True).outcomes[0]
    assert "is no Zarr store" in outcome.error
    assert (tmp_path / "c.zarr" / "diary.txt").exists()


def test_a_store_in_a_folder_is_one_input(tmp_path: Path) -> None:
    store(tmp_path / "in" / "a.zarr")
    source, target = str(tmp_path / "in"), str(tmp_path / "out")
    (job,) = plan([source], target, recursive=True, suffixes=STORES).jobs
    assert (job.source, job.target) == (tmp_path / "in" / "a.zarr", tmp_path / "out" / "a.zarr")


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mdn.io.zarr.rewrite import ZarrRewriter

    def stop(self: ZarrRewriter) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ZarrRewriter, "rebuild_pyramids", stop)
    root = store(tmp_path / "a.zarr")
    with pytest.raises(KeyboardInterrupt):
        denoised(root, tmp_path / "b.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("place", ["array", "group", "nowhere"])
def test_no_data_is_what_an_attribute_says_and_not_the_fill_value(
    tmp_path: Path, version: int, place: str
) -> None:
    path = store(tmp_path / "a.zarr", version, dtype="float32", fill_value=7.0)
    root = zarr.open_group(path, mode="r+")
    if place != "nowhere":
        (root["0"] if place == "array" else root).attrs["_FillValue"] = -9999
    with open_zarr(path) as stack:
        said = {plane.no_data for plane in stack.planes}
    assert said == {None if place == "nowhere" else -9999.0}
    done = denoised(path, tmp_path / "b.zarr", strength=0.0)
    assert done.exit_code == 0
    assert files(tmp_path / "b.zarr") == files(path)


@pytest.mark.parametrize("version", [2, 3])
def test_samples_that_are_what_they_were_leave_the_store_as_it_was(
    tmp_path: Path, version: int
) -> None:
    path = store(tmp_path / "a.zarr", version)

    def write(target: Path, spot: bool) -> None:
        with open_zarr(path) as stack, rewrite_zarr(stack, target) as out:
            for plane in stack.planes:
                with out.page([plane]) as writer:
                    rows = plane.rows.read(0, plane.rows.height)
                    if spot and plane.number == 1:
                        rows[0, 0] += 100
                    writer.write(0, rows)

    write(tmp_path / "b.zarr", spot=False)
    before = files(path)
    assert files(tmp_path / "b.zarr") == before
    write(tmp_path / "c.zarr", spot=True)
    after = files(tmp_path / "c.zarr")
    assert after.keys() == before.keys()
    other = [name for name in before if after[name] != before[name]]
    assert len([name for name in other if name[0] == "0"]) == 1
    assert {name[0] for name in other} == set("012")
