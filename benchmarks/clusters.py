"""One large OME-Zarr: one process, Dask workers, two shards; their speed, memory and bytes.

    python -m benchmarks.clusters [--side 32768] [--dtype uint16] [--model photo-fast] [--work DIR]

Needs two quiet cores; every process has one thread. The store is one gray plane, noisy, in chunks
of 1024 x 1024 that are made one after the other, and one smaller level. Whole commands are
measured, starts of workers included. Memory is that of all processes of a command, in MiB, at most;
the results of all ways must be the same bytes. Two stores lie on the disk at a time. Sides of 6144
and more make several blocks; there is nothing to share out in smaller ones.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zarr

from benchmarks.many import HERE, side_by_side

WAYS = {
    "one process": [[]],
    "--dask local:1": [["--dask", "local:1"]],
    "--dask local:2": [["--dask", "local:2"]],
    "two shards": [["--shard", "1/2"], ["--shard", "2/2"]],
}
AXES = [{"name": name, "type": "space"} for name in "yx"]
CHUNK = 1024


@dataclass(frozen=True)
class Run:
    """One way: seconds by the clock and of the processor, MiB at most, SHA-256 of the result."""

    seconds: float
    processor: float
    memory: int
    digest: str


def store(path: Path, side: int, dtype: str) -> Path:
    """An OME-Zarr of waves with noise: counts of light with 16 bits, sigma 15 with 8."""
    root = zarr.open_group(path, mode="w", zarr_format=2)
    large, small = (
        root.create_array(str(level), shape=(side >> level,) * 2, chunks=(CHUNK,) * 2, dtype=dtype)
        for level in (0, 1)
    )
    for top in range(0, side, CHUNK):
        for left in range(0, side, CHUNK):
            y, x = np.mgrid[top : min(top + CHUNK, side), left : min(left + CHUNK, side)]
            waves, random = np.sin(x / 40 + y / 300), np.random.default_rng((top, left))
            if dtype == "uint16":
                noisy = random.poisson(1000 + 500 * waves)
            else:
                noisy = (128 + 60 * waves + random.normal(0, 15, x.shape)).clip(0, 255)
            piece = noisy.astype(dtype)
            large[top : top + CHUNK, left : left + CHUNK] = piece
            half = np.s_[top // 2 : (top + CHUNK) // 2, left // 2 : (left + CHUNK) // 2]
            small[half] = piece[: piece.shape[0] & ~1 : 2, : piece.shape[1] & ~1 : 2]
    root.attrs["multiscales"] = [{"axes": AXES, "datasets": [{"path": "0"}, {"path": "1"}]}]
    return path


def run(source: Path, out: Path, parts: list[list[str]], options: list[str]) -> Run:
    """Runs `mdn denoise`, once for each list of options, side by side."""
    words = [sys.executable, "-m", "mdn", "denoise", str(source), "-o", str(out), "-q", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    looks: list[int] = []
    commands = [[*words, *part] for part in parts]
    seconds, processor = side_by_side(commands, environment, HERE, looks.append)
    return Run(seconds, processor, max(looks), digest(out))


def digest(folder: Path) -> str:
    """SHA-256 of all files of a store, their names included."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(folder)}\n".encode())
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=32768)
    parser.add_argument("--dtype", choices=("uint8", "uint16"), default="uint16")
    parser.add_argument("--model", help="of mdn denoise")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--work", type=Path, help="where the stores lie meanwhile")
    asked = parser.parse_args()
    options = ["-m", asked.model] if asked.model else []
    digests = set()
    with tempfile.TemporaryDirectory(dir=asked.work) as place:
        out = Path(place) / "out.zarr"
        source = store(Path(place) / "in.zarr", asked.side, asked.dtype)
        print(f"{sum(p.stat().st_size for p in source.rglob('*')) / 1e9:.2f} GB on the disk")
        print("| way | seconds | megapixels a second | processor us a pixel | MiB |")
        print("| --- | ---: | ---: | ---: | ---: |", flush=True)
        for way in asked.ways.split(","):
            found, pixels = run(source, out, WAYS[way], options), asked.side**2
            speed = f"{pixels / 1e6 / found.seconds:.3g} | {1e6 * found.processor / pixels:.2f}"
            print(f"| {way} | {found.seconds:.1f} | {speed} | {found.memory} |", flush=True)
            digests.add(found.digest)
            shutil.rmtree(out)
    print(f"results: {'the same bytes' if len(digests) == 1 else 'NOT THE SAME'}")


if __name__ == "__main__":
    main()
