"""Many files: how many a second, and whether memory stays flat.

    python -m benchmarks.many                                     # 10,000 files of 64 x 64
    python -m benchmarks.many --files 200 --size 1632x1224 --suffix jpg
    python -m benchmarks.many --files 200 --size 1632x1224 --suffix jpg --ways "one process" \\
        --against ../release-0.1 --rounds 2

The same folder goes through whole commands, starts included: file after file without any overlap
(--fail-fast), as usual, in two shards side by side, and on two Dask workers. Memory is that of all
processes of a command, in MiB, the most in each tenth of the files. The results of all ways must be
the same bytes where each has as many threads: `--threads 1`. With --against another checkout of mdn
does the same in turn with this one.
"""

import argparse
import hashlib
import os
import resource
import shlex
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

HERE = Path(__file__).parent.parent
WAYS = {
    "one by one": [["--fail-fast"]],
    "one process": [[]],
    "two shards": [["--shard", "1/2"], ["--shard", "2/2"]],
    "--dask local:2": [["--dask", "local:2"]],
}
LOOK = 0.5  # seconds between two looks at memory
PARTS = 10  # of the run, each with its most memory


@dataclass(frozen=True)
class Run:
    """One way: seconds by the clock and of the processor, and MiB in each part of the files."""

    seconds: float
    processor: float
    memory: list[int]
    digest: str

    def line(self, way: str, files: int) -> str:
        """A row of the table."""
        curve = " ".join(map(str, self.memory))
        each = f"{files / self.seconds:.3g} | {1e3 * self.processor / files:.1f}"
        return f"| {way} | {each} | {curve} |"


def pictures(folder: Path, count: int, width: int, height: int, suffix: str) -> None:
    """Pieces of waves with noise of sigma 15, each with its own noise."""
    folder.mkdir()
    y, x = np.mgrid[:height, :width]
    for index in range(count):
        random = np.random.default_rng(index)
        waves = 128 + 70 * np.sin(x / random.uniform(5, 50) + y / random.uniform(5, 50))
        noisy = waves[..., None] + random.normal(0, 15, (height, width, 3))
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{index:06}.{suffix}")


def run(
    checkout: Path, source: Path, out: Path, files: int, parts: list[list[str]], threads: int | None
) -> Run:
    """Runs `mdn denoise` of a checkout, once for each list of options, side by side."""
    suffix = next(source.iterdir()).suffix
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve())}
    environment |= {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
    words = [sys.executable, "-m", "mdn", "denoise", str(source), "-o", f"{out}/", "-q"]
    memory = [0] * PARTS

    def look(held: int) -> None:
        done = sum(path.endswith(suffix) for path in os.listdir(out)) if out.exists() else 0
        part = min(PARTS - 1, PARTS * done // files)
        memory[part] = max(memory[part], held)

    seconds, processor = side_by_side(
        [[*words, *more] for more in parts], environment, source, look
    )
    found = sorted(out.glob(f"*{suffix}"))
    assert len(found) == files, f"{files - len(found)} files are missing"
    whole = hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in found))
    return Run(seconds, processor, memory, whole.hexdigest())


def side_by_side(
    commands: list[list[str]],
    environment: dict[str, str],
    folder: Path,
    look: Callable[[int], None],
) -> tuple[float, float]:
    """Runs commands in a folder until all have ended: seconds by the clock and of the processor.

    look: is told every LOOK seconds how many MiB they hold together.
    """
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    running = [psutil.Popen(words, env=environment, cwd=folder) for words in commands]
    while any(each.poll() is None for each in running):
        look(sum(map(held, running)) >> 20)
        time.sleep(LOOK)
    seconds = time.monotonic() - begin
    if failed := [words for words, each in zip(commands, running, strict=True) if each.returncode]:
        sys.exit(f"a command failed: {shlex.join(failed[0])}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def held(process: psutil.Process) -> int:
    """Bytes of a process and of all that it has started."""
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    except psutil.Error:  # it has ended meanwhile
        pass
    return total


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--size", default="64x64", help="WIDTHxHEIGHT")
    parser.add_argument("--suffix", default="png")
    parser.add_argument("--threads", type=int, help="of a process; one for shards and workers")
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--options", default="", help="of mdn denoise, in one word")
    parser.add_argument("--work", type=Path, help="where files lie meanwhile")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="of another mdn")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    checkouts = [HERE] if asked.against is None else [asked.against, HERE]
    digests, best = defaultdict[Path, set[str]](set), defaultdict[tuple[Path, str], float](float)
    print("| way | files a second | processor ms a file | MiB, by tenths of the files |")
    print("| --- | ---: | ---: | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=asked.work) as place:
        source, out = Path(place).resolve() / "in", Path(place).resolve() / "out"
        pictures(source, asked.files, width, height, asked.suffix)
        for _, way, checkout in product(range(asked.rounds), asked.ways.split(","), checkouts):
            parts = [[*each, *asked.options.split()] for each in WAYS[way]]
            threads = 1 if len(parts) > 1 else asked.threads
            found = run(checkout, source, out, asked.files, parts, threads)
            digests[checkout].add(found.digest)
            best[checkout, way] = max(best[checkout, way], asked.files / found.seconds)
            name = way if asked.against is None else f"{way}, {checkout.resolve().name}"
            print(found.line(name, asked.files), flush=True)
            shutil.rmtree(out)
    same = all(len(each) == 1 for each in digests.values())
    whose = "results" if asked.against is None else "results of each checkout"
    print(f"{whose}: {'the same bytes' if same else 'NOT THE SAME'}")
    for way in asked.ways.split(",") if asked.against is not None else []:
        gain = best[HERE, way] / best[asked.against, way]
        print(f"{way}: {gain:.2f} times as many files a second as {asked.against}")


if __name__ == "__main__":
    main()
