"""The fault table: batches that are killed, starved and raced, and what is left of them.

    python -m benchmarks.faults [--kills 50] [--seed 0] [--files 10000]

Each kill is SIGKILL at a random moment of a run over 12 files, resumed until it ends by itself.
"Lost": files without a result in the end. "Half": results that at any moment differ from those of
an unbroken run. "Hangs": runs that took ten times as long as the unbroken one.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MODEL = ["-m", "unittest", "--device", "cpu", "--precision", "fp32", "-q"]


@dataclass
class Row:
    """One line of the table."""

    what: str
    runs: int = 0
    lost: int = 0
    half: int = 0
    hangs: int = 0
    note: str = ""

    def __str__(self) -> str:
        counts = f"{self.runs:5} {self.lost:5} {self.half:5} {self.hangs:6}"
        return f"{self.what:<44} {counts}  {self.note}"


def pictures(folder: Path, count: int, side: int) -> None:
    """Writes noisy pictures of `side` x `side` pixels."""
    folder.mkdir(parents=True)
    for index in range(count):
        noise = np.random.default_rng(index).integers(0, 255, (side, side, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{index:05}.png", compress_level=1)


def mdn(*arguments: str) -> subprocess.Popen[bytes]:
    """Starts `mdn` in a group of its own, so that its workers can be killed with it or apart."""
    command = [sys.executable, "-m", "mdn", *arguments, *MODEL]
    return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result by its name; unfinished parts and manifests are not results."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.glob("*.png")
        if path.is_file()
    }


def finish(child: subprocess.Popen[bytes], limit: float) -> bool:
    """Waits for a process; whether it ended within `limit` seconds."""
    try:
        child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return False
    return True


def kills(work: Path, number: int, seed: int, extra: Sequence[str] = ()) -> Row:
    """SIGKILL at `number` random moments, spread over as many runs as that takes."""
    row = Row("SIGKILL of the process" + (f" ({' '.join(extra)})" if extra else ""))
    source, whole = work / "in", work / "whole"
    begin = time.perf_counter()
    finish(mdn("denoise", str(source), "-o", str(whole)), 600)
    length = time.perf_counter() - begin
    expected = digests(whole)
    dice = random.Random(seed)
    while row.runs < number:
        out = work / f"out-{seed}-{row.runs}"
        for _ in range(min(4, number - row.runs)):  # kills before this batch may end
            child = mdn("denoise", str(source), "-o", str(out), "--resume", *extra)
            time.sleep(dice.uniform(0.5, 1.0) * length)
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            row.runs += 1
            row.half += sum(expected[name] != found for name, found in digests(out).items())
        row.hangs += not finish(
            mdn("denoise", str(source), "-o", str(out), "--resume", *extra), 10 * length
        )
        found = digests(out)
        row.lost += len(expected) - len(found)
        row.half += sum(expected[name] != found[name] for name in found)
        verdict = subprocess.run(
            [sys.executable, "-m", "mdn", "verify", str(out), "-q"], check=False
        )
        row.note = row.note or ("" if verdict.returncode == 0 else "mdn verify disagrees")
    return row


def race(work: Path) -> Row:
    """Two runs into one folder: one works, the other is refused and names it."""
    row = Row("two runs into one folder", runs=1)
    pair = [mdn("denoise", str(work / "in"), "-o", str(work / "raced")) for _ in range(2)]
    said = [child.communicate(timeout=600)[1].decode() for child in pair]
    codes = sorted(child.returncode for child in pair)
    row.lost = len(digests(work / "whole")) - len(digests(work / "raced"))
    named = any(f"process {child.pid}" in text for child in pair for text in said)
    row.note = f"exit codes {codes}, owner {'named' if named else 'NOT named'}"
    return row


def full_disk(work: Path) -> Row:
    """A file system that fills up in the middle, then is given room. Needs the right to mount."""
    row = Row("disk full, then resumed", runs=1)
    disk = work / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        return Row("disk full, then resumed", note="not run: may not mount")
    try:
        child = mdn("denoise", str(work / "in"), "-o", str(disk / "out"))
        said = child.communicate(timeout=600)[1].decode()
        expected, found = digests(work / "whole"), digests(disk / "out")
        row.half = sum(expected[name] != found[name] for name in found)
        short = len(expected) - len(found)
        parts = len(list((disk / "out").glob(".mdn-*")))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        finish(mdn("denoise", str(work / "in"), "-o", str(disk / "out"), "--resume"), 600)
        row.lost = len(expected) - len(digests(disk / "out"))
        row.note = f"exit {child.returncode}, {short} did not fit, {parts} parts left behind"
        row.note += "" if "full" in said or "room" in said else "; NOT SAID"
    finally:
        subprocess.run(["umount", str(disk)], check=False)
    return row


def many(work: Path, count: int) -> Row:
    """Many small files: files a second, and memory at the end."""
    row = Row(f"{count} files of 64 x 64", runs=1)
    pictures(work / "many", count, 64)
    begin = time.perf_counter()
    child = mdn("denoise", str(work / "many"), "-o", str(work / "many-out"))
    peaks = []
    while child.poll() is None:
        time.sleep(0.5)
        status = Path(f"/proc/{child.pid}/status")
        if status.exists():
            lines = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
            peaks += [int(line.split()[1]) >> 10 for line in lines]
    seconds = time.perf_counter() - begin
    row.lost = count - len(list((work / "many-out").glob("*.png")))
    early, late = max(peaks[: len(peaks) // 4]), max(peaks)
    row.note = f"{count / seconds:.0f} files a second, memory {early} MiB early, {late} MiB at most"
    return row


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", type=int, default=10_000)
    asked = parser.parse_args()
    print(f"{'fault':<44} {'runs':>5} {'lost':>5} {'half':>5} {'hangs':>6}")
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        pictures(work / "in", 12, 96)
        print(kills(work, asked.kills, asked.seed), flush=True)
        print(race(work), flush=True)
        print(full_disk(work), flush=True)
        if asked.files:
            print(many(work, asked.files), flush=True)


if __name__ == "__main__":
    main()
