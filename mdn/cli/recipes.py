"""What `mdn train --list` prints."""

from __future__ import annotations


def show(*, as_json: bool = False) -> None:
    """Each recipe that came with mdn, as a table or as JSON."""
    from mdn.cli.render import print_json, print_table
    from mdn.training import recipe_files, recipe_parse

    found = {name: recipe_parse.load(path) for name, path in recipe_files.names().items()}
    if as_json:
        recipes = [
            {"name": name, "arch": each.arch, "steps": each.optim.steps, **each.about}
            for name, each in found.items()
        ]
        return print_json(recipes)
    rows = [
        (name, each.arch, f"{each.optim.steps:,}", each.about.get("summary", ""))
        for name, each in found.items()
    ]
    return print_table(("NAME", "ARCH", "STEPS", "SUMMARY"), rows, right=("STEPS",))
