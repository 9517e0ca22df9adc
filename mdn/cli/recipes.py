"""What `mdn train --list` prints."""

from __future__ import annotations


def show() -> None:
    """A line for each recipe that came with mdn."""
    from mdn.cli.render import print_table
    from mdn.training import recipe, recipe_files

    rows = []
    for name, path in recipe_files.names().items():
        found = recipe.load(path)
        rows.append((name, found.arch, f"{found.optim.steps:,}", found.about.get("summary", "")))
    print_table(("NAME", "ARCH", "STEPS", "SUMMARY"), rows, right=("STEPS",))
