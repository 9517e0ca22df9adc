"""What a terminal shows, and what a log does not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdn.cli import train
from tests.cli.cli_tools import MODEL, Make, Run, child_environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")


def on_a_terminal(*arguments: str, cwd: Path, **environment: str) -> tuple[str, int]:
    """What `mdn` writes on standard error when that is a terminal, and its exit code."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "mdn", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        cwd=cwd,
        env=child_environment() | {"TERM": "xterm-256color", "COLUMNS": "100"} | environment,
    ) as child:
        os.close(theirs)
        seen = b""
        until = time.monotonic() + 300
        while time.monotonic() < until:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end was closed
                break
            if not part:
                break
            seen += part
    os.close(ours)
    return seen.decode(), child.returncode


BAR = "━"


def test_a_terminal_shows_the_name_the_share_and_the_count(make: Make, tmp_path: Path) -> None:
    make("in/first.png")
    make("in/second.png")
    shown, code = on_a_terminal("denoise", "in", *MODEL, cwd=tmp_path, NO_COLOR="")
    assert code == 0
    assert BAR in shown
    assert "all files" in shown
    assert "0/2" in shown  # the first count that is drawn; the last depends on how fast it goes
    assert "%" in shown
    assert "in/first.png -> in/first_denoised.png" in shown
    assert "2 files: 2 done" in shown


def test_no_color_leaves_the_bar_and_takes_the_colours(make: Make, tmp_path: Path) -> None:
    make("first.png")
    shown, _ = on_a_terminal("denoise", "first.png", "gone.png", *MODEL, cwd=tmp_path, NO_COLOR="1")
    assert BAR in shown
    assert "\x1b[3" not in shown  # foreground colours: 30 to 38
    coloured, _ = on_a_terminal("denoise", "gone.png", *MODEL, cwd=tmp_path, NO_COLOR="")
    assert "\x1b[31m" in coloured


def test_quiet_shows_nothing_on_a_terminal(make: Make, tmp_path: Path) -> None:
    make("first.png")
    assert on_a_terminal("denoise", "first.png", "-q", *MODEL, cwd=tmp_path) == ("", 0)


def test_a_log_has_lines_and_no_bar(run: Run, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    make("in/first.png")
    make("in/second.png")
    monkeypatch.setenv("FORCE_COLOR", "1")  # makes rich take a file for a terminal
    monkeypatch.setenv("COLUMNS", "20")
    done = run("denoise", "in", *MODEL)
    assert len(done.stderr.splitlines()) == 3
    assert BAR not in done.stderr


def test_a_training_off_a_terminal_says_soon_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line within seconds of the first step, then one in half a minute, and those of the log."""
    now = 100.0
    monkeypatch.setattr(train.time, "monotonic", lambda: now)
    with train.TrainView("mine") as view:
        view.begin(10, 1000)
        for step in range(11, 101):
            now += 3.0
            view.step(step)
        view.row({"step": 100, "seconds": 300.0, "loss": 0.5})
    first, *more, last = capsys.readouterr().err.splitlines()
    assert (first, len(more)) == ("step 11 of 1000  49 min 27 s left", 8)
    assert more[0] == "step 21 of 1000  48 min 57 s left"
    assert last == "step 100  loss 0.5  5 min 00 s  45 min 00 s left"
