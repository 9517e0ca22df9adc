"""Commands as Typer takes them, with the words of help.toml.

A parameter has a type and a default in the code; its words are in help.toml.
"""

from __future__ import annotations

import inspect
import textwrap
import tomllib
from collections.abc import Callable
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

DEBUG_KEY, HELP_ALL_KEY = "mdn.debug", "mdn.help-all"
EXAMPLES = "[bold]Examples[/bold]"
FEW = 4  # examples of the short help


def _remember_debug(context: typer.Context, value: bool) -> None:
    if value:
        context.meta[DEBUG_KEY] = True


def debugging(context: typer.Context) -> bool:
    """Whether --debug was given."""
    return bool(context.meta.get(DEBUG_KEY))


def _show_all(context: typer.Context, value: bool) -> None:
    if value:
        context.meta[HELP_ALL_KEY] = True
        typer.echo(context.get_help())
        raise typer.Exit


def rules(**named: Any) -> dict[str, Any]:
    """What typer.Option takes beside words: in the annotation of a parameter."""
    return named


Debug = Annotated[bool, rules(is_eager=True, callback=_remember_debug)]
HelpAll = Annotated[bool, rules(is_eager=True, callback=_show_all)]


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command as Typer takes it: with --debug, and with parameters that are dataclasses spread.

    Each field of such a dataclass becomes an option.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    words = _words(function.__name__)
    shown: list[inspect.Parameter] = []

    def show(name: str, default: Any, annotation: Any) -> None:
        if name in words:
            annotation = _described(name, annotation, *words[name])
        kind = inspect.Parameter.KEYWORD_ONLY
        shown.append(inspect.Parameter(name, kind, default=default, annotation=annotation))

    for name, parameter in inspect.signature(function).parameters.items():
        if name not in groups:
            show(name, parameter.default, hints[name])
            continue
        inner = get_type_hints(groups[name], include_extras=True)
        for option in fields(groups[name]):
            show(option.name, option.default, inner[option.name])
    show("debug", False, Debug)
    if function.__name__ in _help()["common"]:
        show("help_all", False, HelpAll)

    @wraps(function)
    def call(*, debug: bool, help_all: bool = False, **values: Any) -> Any:
        for name, kind in groups.items():
            values[name] = kind(**{option.name: values.pop(option.name) for option in fields(kind)})
        return function(**values)

    if examples := _help()["examples"].get(function.__name__):
        shown_as = textwrap.indent(examples, "  ")
        call.__doc__ = f"{inspect.getdoc(function)}\n\n{EXAMPLES}\n\n{shown_as}"
    call.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    call.__annotations__ = {option.name: option.annotation for option in shown}
    return call


def _words(name: str) -> dict[str, tuple[str, str]]:
    """Panel and words of the parameters of a command."""
    tables = [_help().get(section, {}) for section in ("shared", name)]
    return {
        key: (panel, text)
        for table in tables
        for panel, entries in table.items()
        for key, text in entries.items()
    }


@cache
def _help() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("help.toml").read_text(encoding="utf-8"))


def _described(name: str, annotation: Any, panel: str, text: str) -> Any:
    """An annotation as Typer reads it: type and rules of the code, words of help.toml."""
    kind, more = get_args(annotation) if hasattr(annotation, "__metadata__") else (annotation, {})
    head, _, help = text.rpartition(" | ")
    flags = [word for word in head.split() if word.startswith("-")]
    shown = {"metavar": head.removeprefix(" ".join(flags)).strip() or None, "help": help}
    if panel == "Arguments":
        return Annotated[kind, typer.Argument(**shown | {"show_default": False} | more)]
    if not any(flag.startswith("--") for flag in flags):
        flags.append(f"--{name.replace('_', '-')}")
    return Annotated[kind, typer.Option(*flags, rich_help_panel=panel, **shown | more)]


class PlainHelp:
    """For commands and groups: help without the names of Python's types."""

    def get_params(self, ctx: Any) -> Any:
        """Flags take no `<bool>`, and arguments are called by names that say what they are."""
        parameters = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            if isinstance(parameter, TyperArgument):
                parameter.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
            elif parameter.is_flag and parameter.metavar is None:
                parameter.metavar = ""
        return parameters


class Command(PlainHelp, TyperCommand):
    """A command of mdn. Where help.toml names its common options, the others are in --help-all."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Shows the help: the short one, where there is one, unless --help-all asks for all."""
        common = _help()["common"].get(self.name)
        whole = common is None or ctx.meta.get(HELP_ALL_KEY)
        TyperCommand.format_help(self if whole else self._short(common.split()), ctx, formatter)

    def _short(self, common: list[str]) -> Command:
        """This command with a few examples, its common options, and one sentence for each."""
        short = copy(self)
        words, _, examples = (self.help or "").partition(EXAMPLES)
        few = "\n".join(examples.strip("\n").splitlines()[:FEW])
        short.help = f"{words}{EXAMPLES}\n\n{few}"
        by_name = {parameter.name: copy(parameter) for parameter in self.params}
        short.params = [by_name[name] for name in (*common, "help_all")]
        for option in short.params:
            if isinstance(option, TyperOption):
                option.help = f"{(option.help or '').split('. ')[0].removesuffix('.')}."
                option.rich_help_panel, option.show_default = None, False
        return short


class Group(PlainHelp, TyperGroup):
    """A group of commands of mdn."""
