"""Running `mdn` as a process of its own, and names that the tests of the command line share."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

MODEL = ("--model", "unittest", "--device", "cpu", "--precision", "fp32")

Run = Callable[..., Result]
Make = Callable[..., Path]


def process(
    *arguments: str, cwd: Path, input: bytes | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs `python -m mdn` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "mdn", *arguments],
        cwd=cwd,
        input=input,
        capture_output=True,
        env=child_environment() | environment,
        timeout=300,
        check=False,
    )


def child_environment() -> dict[str, str]:
    """The environment, with this checkout's mdn first."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
