"""`python -m mdn`, and the console script."""

from mdn.cli.interrupts import leave_at_once


def main() -> None:
    """Minds Ctrl-C before the imports that take their time, then runs the command line."""
    leave_at_once()
    from mdn.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
