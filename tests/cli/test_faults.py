"""What a batch survives: kills, Ctrl-C, a second run, odd names. benchmarks/kills.py does more."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from mdn.cli.views import BatchView
from mdn.commands import denoise_file as command
from mdn.image import Image
from mdn.jobs import files, manifest
from mdn.jobs.compute_slots import ComputeSlots
from mdn.jobs.job import Job, Outcome
from tests.cli.cli_tools import MODEL, Make, Run, process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

# Kills itself at the N-th of the moments that matter: before and after a result gets its name, and
# before a line of the manifest.
KILLED = """
import os, signal, sys
from pathlib import Path
moment = int(sys.argv.pop(1))
passed = 0
def tick():
    global passed
    passed += 1
    if passed == moment:
        os.kill(os.getpid(), signal.SIGKILL)
from mdn.jobs.manifest import Recording
from mdn.io import atomic
add, put = Recording._append, atomic._put
def adds(self, entry):
    tick(); add(self, entry); tick()
def puts(*arguments):
    tick(); put(*arguments); tick()
Recording._append, atomic._put = adds, puts
from mdn.cli.app import main
main()
"""


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("moment", [3, 4, 5])
def test_a_kill_at_any_moment_loses_nothing(
    run: Run, make: Make, tmp_path: Path, moment: int
) -> None:
    make("in/a.png")
    make("in/b.png")
    run("denoise", "in", "-o", "whole", *MODEL)
    whole = results(tmp_path / "whole")
    words = (moment, "denoise", "in", "-o", "out", *MODEL)
    killed = process(*words, script=KILLED, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    assert results(tmp_path / "out").items() <= whole.items()
    done = list(manifest.read(tmp_path / "out").good)
    assert set(done) <= set(results(tmp_path / "out"))
    again = run("denoise", "in", "-o", "out", "--resume", "--json", *MODEL)
    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["totals"]["skipped"] == len(done)
    assert results(tmp_path / "out") == whole


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_waits_for_the_end_of_a_write_once(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, presses: int
) -> None:
    """While a.png is written b.png is computed, which ends at the first."""
    make("in/a.png")
    make("in/b.png")
    write, pages = files.io.write_image, command._pages
    slots: list[ComputeSlots] = []

    def until(reached: Callable[[], bool]) -> None:
        for _ in range(6000):
            if reached():
                return
            time.sleep(0.01)
        raise AssertionError("Ctrl-C was not heard")

    def computed(batch: command.Batch, image: object, job: Job, *more: object) -> object:
        slots.append(batch.slots)
        if job.name.endswith("b.png"):
            until(lambda: batch.slots._stopped)
        return pages(batch, image, job, *more)

    def interrupted(*arguments: object, **options: object) -> object:
        for flag in ("_stopped", "_given_up")[:presses]:
            os.kill(os.getpid(), signal.SIGINT)
            until(lambda flag=flag: getattr(slots[0], flag))
        return write(*arguments, **options)

    former = signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it
    monkeypatch.setattr(files.io, "write_image", interrupted)
    monkeypatch.setattr(command, "_pages", computed)
    try:
        result = run("denoise", "in", "-o", "out", "--json", *MODEL)
    finally:
        signal.signal(signal.SIGINT, former)
    assert result.exit_code == 130
    assert list(results(tmp_path / "out")) == (["a.png"] if presses == 1 else [])
    assert [each["status"] for each in json.loads(result.stdout)["files"]] == ["ok"] * (2 - presses)


@pytest.mark.parametrize("change", ["vanishes", "grows", "changes later"])
def test_an_input_that_changes_while_it_is_read(
    run: Run, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    source = make("in/a.png")
    make("in/b.png")
    read, save = files.io.read_image, command.save

    def reads(path: Path, **options: object) -> object:
        if path.name == "a.png" and change == "vanishes":
            source.unlink()
        image = read(path, **options)
        if path.name == "a.png" and change == "grows":
            source.write_bytes(source.read_bytes() + b"more")
        return image

    def saves(job: Job, *arguments: object, **options: object) -> bool:
        if job.name == "in/a.png" and change == "changes later":
            source.write_bytes(source.read_bytes() + b"more")
        return save(job, *arguments, **options)

    monkeypatch.setattr(files.io, "read_image", reads)
    monkeypatch.setattr(command, "save", saves)
    result = run("denoise", "in", "-o", "out", *MODEL)
    assert result.exit_code == 3
    assert "in/a.png: " in result.stderr
    assert ("changed while it was read" in result.stderr) is (change != "vanishes")
    assert list(results(tmp_path / "out")) == ["b.png"]
    assert manifest.read(tmp_path / "out").last["a.png"].status == "failed"


def test_names_with_line_breaks_and_emoji(run: Run, make: Make, tmp_path: Path) -> None:
    for name in ("a\nb.png", "\N{SLIGHTLY SMILING FACE}.png", " .png", "-o.png"):
        make(f"in/{name}")
    assert run("denoise", "in", "-o", "out", *MODEL).exit_code == 0
    assert set(results(tmp_path / "out")) == {path.name for path in (tmp_path / "in").iterdir()}
    assert "4 skipped" in run("denoise", "in", "-o", "out", "--resume", *MODEL).stderr


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp"])
def test_max_pixels_refuses_before_decoding(
    run: Run, make: Make, tmp_path: Path, name: str
) -> None:
    make(name)  # 23 x 20
    limits = ["--max-pixels", "459"]
    result = run("denoise", name, "-o", f"out/{name}", *limits, *MODEL)
    assert result.exit_code == 4
    assert "23 x 20 pixels, more than --max-pixels" in result.stderr
    assert run("denoise", name, "-o", f"out/{name}", "--max-pixels", "460", *MODEL).exit_code == 0


@pytest.mark.slow
def test_hundreds_of_files_take_no_more_memory_than_a_few(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for index in range(300):
        pixels = np.random.default_rng(index).integers(0, 255, (1, 128, 128, 3), np.uint8)
        files.io.write_image(Image(pixels), tmp_path / f"in/{index}.png")
    memory: list[int] = []
    finished = BatchView.finished

    def measured(self: BatchView, outcome: Outcome) -> None:
        finished(self, outcome)
        memory.append(psutil.Process().memory_info().rss)

    monkeypatch.setattr(BatchView, "finished", measured)
    done = run("denoise", "in", "-o", "out", "-q", *MODEL)
    assert (done.exit_code, len(results(tmp_path / "out"))) == (0, 300), done.stderr
    assert max(memory[150:]) < max(memory[30:90]) + 32 * 2**20
