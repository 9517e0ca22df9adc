"""`python -m mdn`, and the console script."""

import os

from mdn.cli.interrupts import leave_at_once

# Threads of OpenMP that wait for one another ask this often before they sleep: about as long as
# waking them takes. Usual is 300,000, which on a busy machine is most of what they do.
SPINS = "2000"


def main() -> None:
    """Minds Ctrl-C before the imports that take their time, then runs the command line."""
    leave_at_once()
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    from mdn.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
