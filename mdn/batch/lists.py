"""Inputs from a list: one name a line, or names that NUL ends, as `find -print0` writes them."""

import os
import sys
from pathlib import Path

from mdn.errors import UsageError
from mdn.io import FORMATS


def read_list(name: str) -> list[str]:
    """The names that a list holds, in its order.

    Args:
        name: the list, or - for standard input. Where it holds a NUL, names end at NULs and may
            hold line breaks; else each line is one. A name is taken as it stands: no patterns, no
            comments.

    Raises:
        UsageError: it cannot be read, is a picture, or holds no name.
    """
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as problem:
        reason = (problem.strerror or "cannot be read").lower()
        raise UsageError(f"--from-file {name}: {reason}") from None
    if any(form.recognises(data) for form in FORMATS.values()):
        raise UsageError(f"--from-file {name}: is a picture; name it without --from-file")
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    names = [os.fsdecode(part) for part in parts if part.strip()]
    if not names:
        raise UsageError(f"--from-file {name}: holds no names; write one a line")
    return names
