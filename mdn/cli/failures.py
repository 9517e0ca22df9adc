"""What is said of a failure: one line and an exit code, and with --json one document."""

import difflib
import io
from typing import Any

import typer

from mdn.errors import FaultsError, FileError, MdnError, OutOfMemoryError, UsageError
from mdn.interrupts import INTERRUPTED, TERMINATED

# What Typer calls a usage error: it has its own copy of click.
CLICKS: type[Exception] = typer.BadParameter.__mro__[2]

SIMILAR = 0.6  # from which on an unknown option may have been meant for another
RANGES = ("less_than", "greater_than", "less_than_equal", "greater_than_equal")
JSON_DONE = "mdn.json"  # key of a context's meta: the document is printed already


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that the caller has closed (`>&-`): a mistake of the command."""

    encoding, errors = "utf-8", "strict"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise UsageError("standard output is closed: send it to a file or to /dev/null")


def explain(error: BaseException) -> tuple[str, int]:
    """One line for the user, and the exit code."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit):  # the only one that raises it: a signal
        return "terminated", int(error.code or TERMINATED)
    text = " ".join(str(error).split())
    if isinstance(error, MdnError):
        return f"error: {text}", error.exit_code
    if isinstance(error, OSError):  # without a name it is one of our own standard streams
        reason = (error.strerror or type(error).__name__).lower()
        refused = FileError(error.filename or "standard output", f"cannot be used ({reason})")
        return f"error: {refused}", refused.exit_code
    if isinstance(error, CLICKS):
        place = getattr(getattr(error, "ctx", None), "command_path", "mdn")
        words = getattr(error, "format_message", error.__str__)()
        return f"error: {words.rstrip('.')} (see {place} -h)", 2
    if isinstance(error, MemoryError):
        reason = f" ({text})" if text else ""
        message = f"error: out of memory{reason}; give --max-memory 1G or close other programs"
        return message, OutOfMemoryError.exit_code
    kind = type(error).__name__
    return f"error: internal error, {kind}: {text}; run again with --debug to see where", 1


def lines(error: BaseException) -> list[str]:
    """What the user is told: one line; of several faults in a file, its name and a line each."""
    if isinstance(error, FaultsError) and len(error.faults) > 1:
        return [f"error: {error.name}: {len(error.faults)} faults", *error.faults]
    return [explain(error)[0]]


def document(command: str, error: BaseException) -> dict[str, object]:
    """The JSON document of a command that failed as a whole; see docs/json.md."""
    message, code = explain(error)
    return {"command": command, "error": message.removeprefix("error: "), "exit_code": code}


def print_document(meta: dict[str, Any], content: object) -> None:
    """Prints a document, unless one is printed already: the context's meta remembers."""
    from mdn.cli.views import print_json

    if not meta.get(JSON_DONE):
        meta[JSON_DONE] = True
        print_json(content)


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
