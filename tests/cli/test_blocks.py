"""Large stacks in blocks: the bytes of one process, whoever does which block and in which order."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from mdn.commands import denoise
from mdn.errors import FileError, UsageError
from mdn.io.zarr.stack import open_zarr
from mdn.jobs.job import Shard
from mdn.stacks import blocks
from tests.cli.cli_tools import MODEL, Run
from tests.io.zarr.test_zarr import files, store

pytest.importorskip("distributed")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 64 rows, so that tiny stacks are cut."""
    monkeypatch.setattr(blocks, "PIXELS", 64)
    monkeypatch.setattr(blocks, "ROWS", 64)


def tiff(path: Path, tile: tuple[int, int] | None = (32, 48), compression: str = "zlib") -> Path:
    """Two noisy planes with a smaller level."""
    values = np.random.default_rng(0).normal(1000, 60, (2, 200, 70)).astype(np.uint16)
    with tifffile.TiffWriter(path, ome=True) as writer:
        how = {"tile": tile, "compression": compression}
        writer.write(values, subifds=1, metadata={"axes": "ZYX"}, **how)
        writer.write(values[:, ::2, ::2], subfiletype=1, **how)
    return path


def made(path: Path) -> dict[str, str]:
    """Hashes of a store's files, or the bytes of a file."""
    return files(path) if path.is_dir() else {"": path.read_bytes().hex()}


CASES = ["big.zarr", "deep.zarr", "sharded.zarr", "tiles.tif", "strips.tif"]
OPTIONS = (*MODEL, "--tile", "64", "--encoding", "counts")


def source(folder: Path, name: str) -> Path:
    shape = (1, 2, 200, 70)
    if name == "big.zarr":
        return store(folder / name, axes="czyx", shape=shape, chunks=(1, 1, 32, 40))
    if name == "deep.zarr":  # two slices in a chunk
        return store(folder / name, axes="czyx", shape=shape, chunks=(1, 2, 32, 70))
    if name == "sharded.zarr":
        chunks, shards = (1, 1, 16, 40), (1, 1, 64, 80)
        return store(folder / name, 3, "czyx", (1, 2, 192, 80), chunks, shards=shards)
    return tiff(folder / name, *(((32, 48), "zlib") if name == "tiles.tif" else (None, "none")))


@pytest.mark.parametrize("name", CASES)
def test_blocks_of_a_cluster_and_of_shards_make_what_one_process_makes(
    run: Run, tmp_path: Path, where: str, name: str
) -> None:
    suffix = Path(name).suffix
    kept = made(source(tmp_path, name))
    done = run("denoise", name, "-o", f"whole{suffix}", *OPTIONS)
    assert done.exit_code == 0, done.stderr
    whole = made(tmp_path / f"whole{suffix}")
    assert whole != kept
    done = run("denoise", name, "-o", f"dask{suffix}", "--dask", where, "--json", *OPTIONS)
    assert done.exit_code == 0, done.stderr
    assert '"blocks": ' in done.stdout
    assert made(tmp_path / f"dask{suffix}") == whole
    for index in (3, 1, 2):
        shard = ["--shard", f"{index}/3"]
        done = run("denoise", name, "-o", f"shards{suffix}", *shard, *OPTIONS)
        assert done.exit_code == 0, done.stderr
        assert (tmp_path / f"shards{suffix}").exists() is (index == 2)
        assert ("the last shard writes the result" in done.stderr) is (index != 2)
    assert (made(tmp_path / f"shards{suffix}"), made(tmp_path / name)) == (whole, kept)
    assert not list(tmp_path.glob(".*"))  # nothing is left beside them


def test_no_two_blocks_share_a_chunk(run: Run, tmp_path: Path) -> None:
    run("--version")
    for name in CASES[:3]:
        with open_zarr(source(tmp_path, name)) as stack:
            pages = blocks.pages_of(stack.planes)
            owners: dict[object, int] = {}
            covered = 0
            for number, block in enumerate(blocks.blocks_of(pages)):
                for page in block.pages:
                    rows = pages[page][0].rows
                    covered += block.stop - block.start
                    tall = rows.block_height
                    for line in range(block.start // tall, -(-block.stop // tall)):
                        assert owners.setdefault((rows.chunk, line), number) == number
            assert covered == sum(planes[0].rows.height for planes in pages)


def test_what_is_done_is_not_done_again_but_with_other_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source(tmp_path, "big.zarr")
    do, count = blocks.Blocks.do, []

    def counted(self: blocks.Blocks, number: int, batch: denoise.Batch) -> int:
        if len(count) == 3:
            raise FileError("big.zarr", "the machine was switched off")
        count.append(number)
        return do(self, number, batch)

    monkeypatch.setattr(blocks.Blocks, "do", counted)
    stopped = run("denoise", "big.zarr", "-o", "out.zarr", "--shard", "1/1", *OPTIONS)
    assert (stopped.exit_code, count) == (4, [0, 1, 2])
    assert not (tmp_path / "out.zarr").exists()
    again: list[int] = []
    monkeypatch.setattr(
        blocks.Blocks,
        "do",
        lambda self, number, batch: again.append(number) or do(self, number, batch),
    )
    other = ["-o", "other.zarr", "--shard", "1/1", "--strength", "0.5"]
    assert run("denoise", "big.zarr", *other, *OPTIONS).exit_code == 0
    assert len(again) == len(set(again)) > 3
    every, again[:] = list(again), []
    assert run("denoise", "big.zarr", "-o", "out.zarr", "--shard", "1/1", *OPTIONS).exit_code == 0
    assert again == every[3:]
    skipped = run("denoise", "big.zarr", "-o", "out.zarr", "--shard", "1/1", "--resume", *OPTIONS)
    assert (skipped.exit_code, "skipped" in skipped.stderr) == (0, True)


def test_one_fit_for_all_blocks(run: Run, tmp_path: Path, where: str) -> None:
    source(tmp_path, "big.zarr")
    options = ["--iters", "2", *MODEL]
    for out, more in (("whole.zarr", []), ("dask.zarr", ["--dask", where])):
        done = run("zeroshot", "big.zarr", "-o", out, *more, *options)
        assert done.exit_code == 0, done.stderr
    assert files(tmp_path / "dask.zarr") == files(tmp_path / "whole.zarr")
    assert files(tmp_path / "whole.zarr") != files(tmp_path / "big.zarr")


def test_what_is_no_large_stack_has_no_shards(run: Run, tmp_path: Path, where: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((40, 40), 9, np.uint16))
    refused = run("denoise", "a.tif", "-o", "b.tif", "--shard", "1/2", *MODEL)
    assert (refused.exit_code, "--shard shares out files" in refused.stderr) == (4, True)
    refused = run("zeroshot", "a.tif", "-o", "b.tif", "--shard", "1/2", *MODEL)
    assert (refused.exit_code, "not for one file" in refused.stderr) == (2, True)
    with pytest.raises(UsageError, match="give one"):
        denoise.run((), denoise.Request(), None, dask=where, shard=Shard(1, 2))
