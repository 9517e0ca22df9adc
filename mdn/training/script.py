"""What the modules have in common that `python -m mdn.training.NAME` runs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mdn.errors import MdnError


@contextmanager
def plain_errors() -> Iterator[None]:
    """An error that mdn can explain is told in one line, as `mdn` does, and ends with its code."""
    try:
        yield
    except MdnError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        raise SystemExit(error.exit_code) from None
