"""Running `mdn` as a process of its own, and names that the tests of the command line share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

MODEL = ("--model", "unittest", "--device", "cpu", "--precision", "fp32")

Run = Callable[..., Result]
Make = Callable[..., Path]


def process(
    *arguments: object, script: str = "", cwd: Path | None = None, **more: Any
) -> subprocess.CompletedProcess[Any]:
    """Runs `python -m mdn`, or a Python script, as a process of its own.

    Args:
        more: for subprocess.run, such as input, text or stdout.
    """
    return subprocess.run(
        [sys.executable, *(["-c", script] if script else ["-m", "mdn"]), *map(str, arguments)],
        cwd=cwd, env=child_environment(), timeout=300, check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more,
    )  # fmt: skip


def child_environment() -> dict[str, str]:
    """The environment, with this checkout's mdn first."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
