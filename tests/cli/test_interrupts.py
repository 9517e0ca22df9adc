"""Ctrl-C at any moment is one line and exit code 130."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.cli_tools import Make, child_environment

# Interrupts itself when the module of that name is about to be imported.
SCRIPT = """
import os, signal, sys
wanted = sys.argv.pop(1)
if "ignored" not in globals():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
class Finder:
    def find_spec(self, name, *_):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from mdn.__main__ import main
main()
"""


@pytest.mark.parametrize("module", ["typer", "mdn.cli.models", "torch", "mdn.commands.denoise"])
def test_an_import_that_is_interrupted(module: str, make: Make, tmp_path: Path) -> None:
    make("a.png")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, "denoise", "a.png", "-m", "unittest"],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "mdn: interrupted\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_ignored_interrupts_stay_ignored(tmp_path: Path) -> None:
    """As under nohup: the run goes on."""
    ignored = "import signal; ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    script = ignored + SCRIPT
    done = subprocess.run(
        [sys.executable, "-c", script, "typer", "--version"],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0
