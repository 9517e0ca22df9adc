"""What `mdn denoise` takes beside its net: `python -m benchmarks.command PICTURE...`.

For each picture, processor seconds by phase, of one run inside this process: what Python imports,
decoding, judging the noise, the net, encoding, and all the rest; and the whole as a multiple of
net + decode + encode. With `--against CHECKOUT` whole commands of another checkout and of this one
run in turn, which holds on a busy machine too; both with the same options.

    OMP_NUM_THREADS=1 python -m benchmarks.command photo.jpg
    OMP_NUM_THREADS=1 python -m benchmarks.command small.png large.jpg --against ../old --rounds 3
    OMP_NUM_THREADS=2 python -m benchmarks.command --wall --make 24

One thread, for processor time to mean anything: with several it counts those that wait. On a quiet
machine `--wall` measures by the clock instead. `--make` adds a noisy JPEG of so many megapixels.
"""

import argparse
import functools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent
CORE = ("net", "decode", "encode")  # what cannot be spared


class Phases:
    """Seconds of each phase; one within another counts for itself alone."""

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds: Counter[str] = Counter()
        self._clock, self._now, self._since = clock, "rest", clock()

    def enter(self, phase: str) -> str:
        """From now on it is this phase; returns the one before."""
        now, before = self._clock(), self._now
        self.seconds[before] += now - self._since
        self._now, self._since = phase, now
        return before

    def measure(self, owner: Any, name: str, phase: str) -> None:
        """Counts the calls of a function for a phase from now on."""
        function: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(function)
        def counted(*arguments: Any, **named: Any) -> Any:
            before = self.enter(phase)
            try:
                return function(*arguments, **named)
            finally:
                self.enter(before)

        setattr(owner, name, counted)


def phases(
    pictures: list[Path], options: list[str], clock: Callable[[], float], start: float
) -> None:
    """Prints the phases of each picture; imports and weights are part of the first alone.

    start: seconds that Python's own start took, one of the imports.
    """
    found = Phases(clock)
    found.seconds["imports"] = start
    before = found.enter("imports")
    from typer.testing import CliRunner

    from mdn import io
    from mdn.cli.app import app
    from mdn.commands import denoise  # noqa: F401  what the command imports when it runs
    from mdn.pipeline import destripe, models, plan
    from mdn.registry.model import Model

    found.enter(before)
    found.measure(io, "read_image", "decode")
    found.measure(io, "write_image", "encode")
    found.measure(plan, "judge_sample", "judge")
    found.measure(destripe, "bands_of", "banding")
    found.measure(Model, "__call__", "net")
    found.measure(models, "load_model", "weights")
    with tempfile.TemporaryDirectory() as folder:
        for picture in pictures:
            target = str(Path(folder) / picture.name)
            done = CliRunner().invoke(app, ["denoise", str(picture), "-o", target, *options])
            if done.exit_code:
                sys.exit(done.output)
            found.enter("rest")
            tell(picture, found.seconds)
            found.seconds.clear()


def tell(picture: Path, seconds: Counter[str]) -> None:
    """One picture's line."""
    whole, core = sum(seconds.values()), sum(seconds[phase] for phase in CORE)
    parts = ", ".join(f"{phase} {taken:.2f}" for phase, taken in seconds.most_common())
    begun = whole - seconds["imports"] - seconds["weights"]
    print(f"{picture.name}: {whole:.2f} s: {parts}")
    ratio = f"{whole / core:.2f} times net + decode + encode"
    print(f"  {ratio}; {begun / core:.2f} without imports and weights", flush=True)


def against(other: Path, pictures: list[Path], options: list[str], rounds: int) -> None:
    """Prints the processor seconds of whole commands of two checkouts, run in turn."""
    print("| picture | other | this | this / other |\n| --- | ---: | ---: | ---: |")
    for picture in pictures:
        taken: dict[Path, list[float]] = {other: [], HERE: []}
        for _ in range(rounds):
            for checkout, seconds in taken.items():
                seconds.append(command(checkout, picture, options))
        old, new = (min(seconds) for seconds in taken.values())
        print(f"| {picture.name} | {old:.2f} | {new:.2f} | {new / old:.2f} |", flush=True)


def command(checkout: Path, picture: Path, options: list[str]) -> float:
    """Processor seconds, of the user and of the system, of one whole command."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder) / picture.name)
        line = [sys.executable, "-m", "mdn", "denoise", str(picture), "-o", target, "-q", *options]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
        subprocess.run(line, cwd=folder, env=environment, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path)
    parser.add_argument("--make", type=float, metavar="MEGAPIXELS")
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="of mdn denoise, in one word")
    asked = parser.parse_args()
    start = time.process_time()  # of one thread; what follows may make a picture
    with tempfile.TemporaryDirectory() as folder:
        pictures = [picture.resolve() for picture in asked.pictures]
        pictures += [made(Path(folder), asked.make)] if asked.make else []
        if asked.against is None:
            clock = time.perf_counter if asked.wall else time.process_time
            phases(pictures, asked.options.split(), clock, start)
        else:
            against(asked.against, pictures, asked.options.split(), asked.rounds)


def made(folder: Path, megapixels: float) -> Path:
    """A noisy JPEG, 4 to 3."""
    from benchmarks.many import pictures

    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    pictures(folder / "made", 1, round(height * 4 / 3), height, "jpg")
    return next((folder / "made").iterdir())


if __name__ == "__main__":
    main()
