"""What Typer says of wrong options, and shows in help, in the words of those who use mdn."""

import difflib
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

SIMILAR = 0.6  # from which on an unknown option may have been meant for another
RANGES = ("less_than", "greater_than", "less_than_equal", "greater_than_equal")


class PlainHelp:
    """For commands and groups: help without the names of Python's types."""

    def get_params(self, ctx: Any) -> Any:
        """Flags take no `<bool>`, and arguments are called by names that say what they are."""
        found = super().get_params(ctx)  # type: ignore[misc]
        for each in found:
            if isinstance(each, TyperArgument):
                each.display_type_rich = lambda ctx: None  # type: ignore[method-assign]
            elif each.is_flag and each.metavar is None:
                each.metavar = ""
        return found


class Command(PlainHelp, TyperCommand):
    """A command of mdn."""


class Group(PlainHelp, TyperGroup):
    """A group of commands of mdn."""


def reword(error: Any) -> None:
    """Puts a usage error of Typer into plain words, in place; other exceptions stay."""
    if (unknown := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
        bare = {name.lstrip("-"): name for name in error.possibilities or ()}
        near = difflib.get_close_matches(unknown.lstrip("-"), bare, n=1, cutoff=SIMILAR)
        error.possibilities = None
        hint = f" Did you mean {bare[near[0]]}?" if near else ""
        error.message = f"No such option: {unknown}.{hint}"
    elif isinstance(error, typer.BadParameter) and (plain := _plain(error)):
        error.message = plain


def _plain(error: typer.BadParameter) -> str:
    """What is wrong with a value, by the first problem that pydantic found, or nothing."""
    problems = getattr(error.__cause__, "errors", None)
    if not callable(problems):
        return ""
    problem = problems()[0]
    kind, value = problem["type"], problem["input"]
    if kind == "float_parsing":
        return f"{value!r} is not a number."
    if kind in ("int_parsing", "int_from_float"):
        return f"{value!r} is not a whole number."
    if kind in RANGES:
        return f"{value}: choose {_range(error.param)}."
    return str(problem["msg"]).removeprefix("Value error, ")


def _range(param: Any) -> str:
    low, high = (getattr(param, end, None) for end in ("min", "max"))
    if high is None:
        return f"{low:g} or more"
    return f"{high:g} or less" if low is None else f"a number from {low:g} to {high:g}"
