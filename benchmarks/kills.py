"""The fault table: batches that are killed, starved and raced, and what is left of them.

    python -m benchmarks.kills [--kills 50] [--dask-kills 4] [--seed 0]

Strikes come at random moments between the first file that a run begins and its end. "Lost": files
without a result in the end. "Half": results that at any moment differ from those of an unbroken
run. "Hangs": runs that had to be ended after LIMIT seconds. Every run is a fork of this process,
which has all imports behind it, so that kills meet the work. POSIX only.
"""

import argparse
import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from mdn.cli.app import main as mdn_main
from mdn.interrupts import leave_at_once

MANIFEST = "mdn-manifest.jsonl"
LIMIT = 900.0  # seconds for one run
MODEL = ["-m", "unittest", "--device", "cpu", "--precision", "fp32"]


@dataclass
class Row:
    """One line of the table."""

    what: str
    runs: int = 0
    lost: int = 0
    half: int = 0
    hangs: int = 0
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{self.runs:5} {self.lost:5} {self.half:5} {self.hangs:6}"
        return f"{self.what:<44} {counts}  {'; '.join(self.notes)}"

    def check(self, out: Path, whole: dict[str, str], *, ended: bool) -> None:
        """Compares results with those of an unbroken run; `ended`: all must be there."""
        found = digests(out)
        self.half += sum(whole.get(name) != each for name, each in found.items())
        self.lost += len(whole.keys() - found.keys()) if ended else 0


def pictures(folder: Path, count: int, side: int) -> None:
    """Writes noisy pictures of `side` x `side` pixels."""
    folder.mkdir(parents=True)
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index:05}.png", compress_level=1)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result by its name; unfinished parts and manifests are not results."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.png")
        if path.is_file()
    }


class Command:
    """`mdn` in a fork of this process, with a session of its own."""

    def __init__(self, said: Path, *words: str | Path) -> None:
        self.said = said
        # Ctrl-C waits until `mdn` minds it: what comes before is not part of it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self.pid = os.fork()
        if self.pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            sys.argv = ["mdn", *map(str, words)]
            leave_at_once()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            mdn_main()
        except SystemExit as left:
            os._exit(left.code if isinstance(left.code, int) else 1)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def code(self, row: Row) -> int:
        """The exit code; a run that hangs is killed and counted."""
        end = time.monotonic() + LIMIT
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > end:
                row.hangs += 1
                return self.kill()
            time.sleep(0.02)
        return os.waitstatus_to_exitcode(found[1])

    def kill(self) -> int:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    @property
    def alive(self) -> bool:
        """False as soon as it has ended."""
        return psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE

    def at_work(self, manifest: Path, known: int) -> bool:
        """Waits until a file is begun, after the `known` bytes of the manifest; False: none is."""
        end = time.monotonic() + LIMIT
        while not (manifest.exists() and b'"started"' in manifest.read_bytes()[known:]):
            if time.monotonic() > end or not self.alive:
                return False
            time.sleep(0.005)
        return True

    def workers(self) -> list[psutil.Process]:
        """Processes of Dask workers: grandchildren count, those that only watch do not."""
        found = []
        for each in psutil.Process(self.pid).children(recursive=True):
            with suppress(psutil.Error):  # it has just ended
                if "resource_tracker" not in " ".join(each.cmdline()):
                    found.append(each)
        return found


class Bench:
    """The folder of one benchmark: its inputs, and what an unbroken run makes of them."""

    def __init__(self, work: Path, seed: int) -> None:
        self.work, self.dice = work, random.Random(seed)
        pictures(work / "in", 24, 96)
        run = self.denoise("whole")
        assert run.at_work(work / "whole" / MANIFEST, 0), run.said.read_text()
        begin = time.monotonic()
        assert run.code(Row("")) == 0, run.said.read_text()
        self.whole, self.length = digests(work / "whole"), time.monotonic() - begin

    def denoise(self, out: str, *words: str, source: str = "in") -> Command:
        """Starts `mdn denoise in -o out`."""
        place = self.work / out
        return Command(
            self.work / "said", "denoise", self.work / source, "-o", place, *MODEL, *words
        )

    def moment(self) -> None:
        """Waits as long as a part of an unbroken run's work."""
        time.sleep(self.dice.uniform(0, 0.9) * self.length)

    def killed(self, number: int, strike: Callable[[Command], int], row: Row, *words: str) -> Row:
        """Strikes at `number` random moments of the work, up to four in a batch, then resumes it.

        strike: how often it struck; blows at a run that had ended do not count.
        """
        for batch in itertools.count():
            if row.runs >= number:
                break
            out = f"out-{hashlib.sha256(row.what.encode()).hexdigest()[:8]}-{batch}"
            manifest = self.work / out / MANIFEST
            for _ in range(4):
                known = manifest.stat().st_size if manifest.exists() else 0
                run = self.denoise(out, "--resume", *words)
                if not run.at_work(manifest, known):
                    if (code := run.code(row)) != 0:
                        row.notes.append(f"exit {code}: {run.said.read_text()[-200:]}")
                    break
                self.moment()
                row.runs += strike(run)
                row.check(self.work / out, self.whole, ended=False)
            if (code := self.denoise(out, "--resume", *words).code(row)) != 0:
                row.notes.append(f"resumed: exit {code}")
            row.check(self.work / out, self.whole, ended=True)
        return row

    def process(self, number: int) -> Row:
        """SIGKILL of the one process."""
        return self.killed(
            number, lambda run: run.kill() == -signal.SIGKILL, Row("SIGKILL of the process")
        )

    def dask_client(self, number: int) -> Row:
        """SIGKILL of the client; its workers must go by themselves."""
        row = Row("SIGKILL of the client, --dask local:2")

        def strike(run: Command) -> int:
            workers, code = run.workers(), run.kill()
            row.notes += ["workers stayed"] * bool(psutil.wait_procs(workers, timeout=120)[1])
            return code == -signal.SIGKILL

        return self.killed(number, strike, row, "--dask", "local:2")

    def dask_worker(self, number: int) -> Row:
        """SIGKILL of a worker, up to twice in a run, which must finish itself."""
        row = Row("SIGKILL of a worker, --dask local:2")

        def strike(run: Command) -> int:
            struck = 0
            for _ in range(2):
                workers = run.workers()
                with suppress(psutil.NoSuchProcess):
                    if workers:
                        self.dice.choice(workers).kill()
                        struck += 1
                self.moment()
            if (code := run.code(row)) != 0:
                row.notes.append(f"exit {code}: {run.said.read_text().strip()}")
            return struck

        return self.killed(number, strike, row, "--dask", "local:2")

    def interrupts(self, number: int, presses: int) -> Row:
        """Ctrl-C: once finishes the current write, twice leaves at once."""
        row = Row(f"Ctrl-C, {('once', 'twice')[presses - 1]}")

        def strike(run: Command) -> int:
            alive = run.alive
            for _ in range(presses):
                os.kill(run.pid, signal.SIGINT)
                time.sleep(0.02)
            code, said = run.code(row), run.said.read_text()
            if alive and not (code == 130 and "mdn: interrupted\n" in said):
                row.notes.append(f"exit {code}: {said[-200:]}")
            return alive

        return self.killed(number, strike, row)

    def race(self) -> Row:
        """Two runs of the same files into one folder: each has those that it finishes first."""
        row = Row("two runs of the same files into one folder", runs=1)
        first = self.denoise("raced")
        second = Command(
            self.work / "other", "denoise", self.work / "in", "-o", self.work / "raced", *MODEL
        )
        codes = sorted((first.code(row), second.code(row)))
        row.check(self.work / "raced", self.whole, ended=True)
        row.notes = [f"exit codes {codes}"]
        return row

    def full_disk(self) -> Row:
        """A file system that fills up, then is given room. Needs the right to mount."""
        row, disk = Row("disk full, then resumed"), self.work / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "none", str(disk)]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            row.notes = ["not run: may not mount"]
            return row
        try:
            run = self.denoise("disk/out")
            code, row.runs = run.code(row), 1
            row.check(disk / "out", self.whole, ended=False)
            short = len(self.whole) - len(digests(disk / "out"))
            parts = len(list((disk / "out").glob(".mdn-*")))
            row.notes = [f"exit {code}, {short} did not fit, {parts} parts left behind"]
            row.notes += [] if "make room" in run.said.read_text() else ["NOT SAID"]
            subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
            self.denoise("disk/out", "--resume").code(row)
            row.check(disk / "out", self.whole, ended=True)
        finally:
            subprocess.run(["umount", str(disk)], check=False)
        return row

    def growing(self, number: int) -> Row:
        """An input that grows meanwhile: refused or done whole, and done when resumed."""
        row = Row("an input grows while the batch runs")
        for _ in range(number):
            out, source = f"grown{row.runs}", self.work / f"growing{row.runs}"
            source.mkdir()
            for path in (self.work / "in").iterdir():
                (source / path.name).write_bytes(path.read_bytes())
            run, last = self.denoise(out, source=source.name), source / "00023.png"
            time.sleep(self.dice.uniform(0, 1) * self.length)
            last.write_bytes(last.read_bytes() + b"and more")  # PNG readers pass over it
            code = run.code(row)
            row.notes += [f"exit {code}"] * (code not in (0, 3))
            row.check(self.work / out, self.whole, ended=False)
            self.denoise(out, "--resume", source=source.name).code(row)
            row.check(self.work / out, self.whole, ended=True)
            row.runs += 1
        return row


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--dask-kills", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    import torch  # noqa: F401  so that forks need not

    import mdn.commands.denoise
    import mdn.compare.preview  # noqa: F401

    print(f"{'fault':<44} {'runs':>5} {'lost':>5} {'half':>5} {'hangs':>6}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        bench = Bench(Path(place), asked.seed)
        print(bench.process(asked.kills), flush=True)
        print(bench.interrupts(asked.kills, 1), flush=True)
        print(bench.interrupts(asked.kills, 2), flush=True)
        print(bench.race(), flush=True)
        print(bench.full_disk(), flush=True)
        print(bench.growing(4), flush=True)
        if asked.dask_kills:
            print(bench.dask_client(asked.dask_kills), flush=True)
            print(bench.dask_worker(asked.dask_kills), flush=True)


if __name__ == "__main__":
    main()
