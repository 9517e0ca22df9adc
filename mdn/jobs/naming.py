"""What an output is called: beside its input, in a folder, by a template, or as named."""

from __future__ import annotations

import os
import re
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mdn.errors import UsageError
from mdn.io import RENDERS, STORES, SUFFIXES, format_of
from mdn.io.foreign import is_raw
from mdn.jobs.inputs import Input, is_folder

FIELDS = ("stem", "suffix", "name", "parent", "draw")

Kind = Literal["beside", "stdout", "file", "folder", "template"]


@dataclass(frozen=True)
class Naming:
    """The rule that names outputs."""

    kind: Kind  # which of the rules
    output: str  # what the user gave with -o, or empty
    ending: str  # put behind the stem beside an input
    format: str | None  # the format to force, or None
    draws: int  # outputs for each input; more than one are numbered

    @classmethod
    def choose(
        cls, output: str | None, *, ending: str, format: str | None, draws: int, several: bool
    ) -> Naming:
        """The rule that -o OUTPUT asks for. several: whether there may be more than one input.

        Raises UsageError: one file for several inputs, or a template with an unknown field.
        """
        kind = _kind(output, several)
        if kind == "file" and format is None and output and not Path(output).suffix:
            raise UsageError(
                f"-o {output}: for a folder write {output}/, for a file add its suffix"
            )
        return cls(kind, output or "", ending, format, draws)

    def target(self, item: Input, draw: int) -> Path | None:
        """Where the `draw`-th output of `item` goes; None is standard output.

        Raises UsageError for standard input where only its name would say.
        """
        if self.kind == "stdout":
            return None
        if item.path is None and self.format is None and self.kind in ("beside", "folder"):
            raise UsageError(
                "standard input has no name to call the output by: give -o FILE, or -o - for"
                " standard output"
            )
        source = item.path if item.path is not None else Path("stdin")
        suffix = self._suffix(source)
        if self.kind == "template":
            values = (source.stem, suffix, source.name, str(source.parent), draw)
            # The suffix carries its dot, as everywhere in Python; who writes one more means it.
            template = self.output.replace(".{suffix}", "{suffix}")
            path = Path(template.format_map(dict(zip(FIELDS, values, strict=True))))
        elif self.kind == "file":
            path = Path(self.output)
        elif self.kind == "folder":
            path = Path(self.output) / item.relative.with_suffix(suffix)
        else:
            path = source.with_name(f"{source.stem}{self.ending}{suffix}")
        if self.draws == 1 or (self.kind == "template" and "{draw" in self.output):
            return path
        digits = max(3, len(str(self.draws)))
        return path.with_name(f"{path.stem}_{draw:0{digits}d}{path.suffix}")

    def _suffix(self, source: Path) -> str:
        """The input's own suffix unless another format is forced: .jpg stays .jpg under jpeg.

        Raw files are developed, to TIFFs.
        """
        if self.format is None:
            return ".tif" if is_raw(source) else source.suffix
        if (
            source.suffix.lower() in SUFFIXES | RENDERS | STORES
            and format_of(source) == self.format
        ):
            return source.suffix
        return f".{self.format}"


def _kind(output: str | None, several: bool) -> Kind:
    if output is None:
        return "beside"
    if output == "-":
        return "stdout"
    if not output:
        raise UsageError("-o needs a file, a folder, a template or -")
    if "{" in output:
        _check_template(output)
        return "template"
    store = Path(output).suffix.lower() in STORES  # with the slash that a shell puts behind it
    if is_folder(output) or (output.endswith(("/", os.sep)) and not store):
        return "folder"
    if not several:
        return "file"
    if os.path.lexists(output) or Path(output).suffix.lower() in SUFFIXES | RENDERS | STORES:
        raise UsageError(
            f"{output} is one file and there are several inputs: give -o a folder or a template "
            "such as {stem}_clean{suffix}"
        )
    return "folder"


def _check_template(template: str) -> None:
    names = ", ".join(f"{{{name}}}" for name in FIELDS)
    try:
        fields = [field for field in string.Formatter().parse(template) if field[1] is not None]
    except ValueError as error:
        raise UsageError(f"-o {template}: {error}; fields are {names}") from None
    for _, name, width, conversion in fields:
        if name not in FIELDS or conversion:
            raise UsageError(f"-o {template}: no field {{{name}}}; fields are {names}")
        if width and (name != "draw" or not re.fullmatch(r"0?\d?d?", width)):
            raise UsageError(f"-o {template}: only {{draw}} takes a width, such as {{draw:03}}")
