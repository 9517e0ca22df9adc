"""`python -m mdn`."""

from __future__ import annotations

from mdn.cli.app import main

if __name__ == "__main__":
    main()
