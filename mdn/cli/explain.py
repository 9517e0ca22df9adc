"""What `mdn noise` says about noise when it is given no image."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import typer

from mdn.cli import render

if TYPE_CHECKING:
    from mdn.noise import NoiseType


def types(noises: Sequence[NoiseType], as_json: bool) -> None:
    """A table of all types of noise."""
    if as_json:
        render.print_json([_facts(noise) for noise in noises])
        return
    rows = [
        (noise.name, noise.parameter, _numbers(noise), f"{noise.default:g}", noise.title)
        for noise in noises
    ]
    render.print_table(("TYPE", "LEVEL IS", "PUBLISHED", "DEFAULT", "WHAT"), rows)


def one(noise: NoiseType, as_json: bool) -> None:
    """What one noise is, its levels, and how to add it."""
    if as_json:
        render.print_json(_facts(noise))
        return
    typer.echo(f"{noise.title}\n\n{textwrap.fill(noise.explanation, 80)}\n")
    render.print_facts(
        [
            ("level", f"{noise.parameter}, {noise.unit}"),
            ("published", _numbers(noise)),
            ("default", f"{noise.default:g}"),
            ("limits", "{:g} to {:g}".format(*noise.limits)),
            ("example", noise.example),
        ]
    )


def _numbers(noise: NoiseType) -> str:
    return " ".join(f"{level:g}" for level in noise.levels)


def _facts(noise: NoiseType) -> dict[str, object]:
    """All but the functions."""
    functions = ("function", "pair")
    return {f.name: getattr(noise, f.name) for f in fields(noise) if f.name not in functions}
