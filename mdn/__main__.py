"""`python -m mdn`, and the console script."""

import os

from mdn.interrupts import leave_at_once

# Threads of OpenMP that wait for one another ask this often before they sleep. The usual 300,000 is
# most of what they do on a busy machine; 2,000 costs a fifth of the small files on a quiet one.
SPINS = "20000"


def main() -> None:
    """Minds Ctrl-C before the imports that take their time, then runs the command line."""
    leave_at_once()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    from mdn.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
