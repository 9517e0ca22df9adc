"""The folders that benchmarks read.

PICTURES on every page is one folder, with train/, val/ and test/ in it; see docs/bench.md. Each
function here is a type for argparse: it gives the folder that was named, or says in one line what
is wrong with it.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mdn.io import SUFFIXES

ABOUT = "PICTURES is the folder with train/, val/ and test/ (docs/bench.md)"


def with_parts(*parts: str) -> Callable[[str], Path]:
    """The folder that holds `parts`: the one that is named, or test/ or train/ in it."""

    def find(text: str) -> Path:
        for place in (Path(text), Path(text) / "test", Path(text) / "train"):
            if all((place / part).exists() for part in parts):
                return place
        missing = [part for part in parts if not (Path(text) / part).exists()]
        _refuse(f"{text}: no {' or '.join(missing)} in it; {ABOUT}")

    return find


def of_files_or_pairs(text: str) -> Path:
    """A folder with pictures in it, or with noisy/ and gt/."""
    folder = Path(text)
    pairs = (folder / "noisy").is_dir() and (folder / "gt").is_dir()
    return folder if pairs else of_files(text)


def of_files(text: str) -> Path:
    """A folder with pictures in it."""
    folder = Path(text)
    if not folder.is_dir():
        _refuse(f"{text}: no such folder; name one with pictures, such as PICTURES/test/kodak24")
    if not any(path.suffix.lower() in SUFFIXES for path in folder.iterdir()):
        _refuse(f"{text}: no pictures in it; name a folder such as PICTURES/test/kodak24")
    return folder


def _refuse(line: str) -> NoReturn:
    sys.stderr.write(f"error: {line}\n")
    raise SystemExit(2)
