"""Ctrl-C at any moment is one line and exit code 130; with --json a document too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_tools import Make, child_environment

# Interrupts itself when the module of that name is about to be imported.
SCRIPT = """
import os, signal, sys
wanted, number = sys.argv.pop(1), int(sys.argv.pop(1))
if "ignored" not in globals():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
class Finder:
    def find_spec(self, name, *_):
        if name == wanted:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder())
from mdn.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("typer", signal.SIGINT),
        ("typer", signal.SIGTERM),
        ("mdn.cli.denoise", signal.SIGINT),
        ("torch", signal.SIGINT),
        ("mdn.commands.denoise", signal.SIGTERM),
    ],
)
def test_an_import_that_is_interrupted(
    module: str, number: signal.Signals, make: Make, tmp_path: Path
) -> None:
    make("a.png")
    words = [module, str(int(number)), "denoise", "a.png", "-m", "unittest", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    word, told = ("terminated", "")
    if number == signal.SIGINT:
        word, told = ("interrupted", "mdn: interrupted\n")
    assert (done.returncode, done.stderr) == (128 + number, told)
    found = {"command": "denoise", "error": word, "exit_code": 128 + number}
    assert json.loads(done.stdout) == found
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_ignored_interrupts_stay_ignored(tmp_path: Path) -> None:
    """As under nohup: the run goes on."""
    ignored = "import signal; ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    script = ignored + SCRIPT
    done = subprocess.run(
        [sys.executable, "-c", script, "typer", "2", "--version"],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
