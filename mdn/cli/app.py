"""The `mdn` command, and the one place where an error becomes a line and an exit code."""

import contextlib
import functools
import importlib
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Annotated, Any

import typer
import typer.main

from mdn import __version__, interrupts
from mdn.cli import failures, help
from mdn.errors import UsageError
from mdn.interrupts import BROKEN_PIPE

EPILOG = (
    "[bold]Exit codes[/bold]: 0 done, 1 internal error, 2 usage, 3 some inputs failed, 4 all "
    "failed or nothing matched, 5 out of memory, 6 model missing or damaged, 7 below the "
    "--fail-below of mdn bench, 8 the scheduler of --dask is gone, 130 interrupted, 143 terminated."
)

# Typer's own: a wanted exit, and what it calls a usage error (ClickException).
CLICKS = failures.CLICKS
TYPERS_OWN: tuple[type[Exception], ...] = (typer.Exit, typer.Abort, CLICKS)

MODULES = {"denoise": "denoise", "zeroshot": "denoise", "noise": "noise", "compare": "bench"}
MODULES |= {name: name for name in ("bench", "train", "models")}  # of mdn.cli, by command
INSTALLING = """\
# What the shell that you are in reads once, to complete what you type. It belongs here:
#   bash        mdn --show-completion >> ~/.bashrc
#   zsh         mdn --show-completion >> ~/.zshrc
#   fish        mdn --show-completion > ~/.config/fish/completions/mdn.fish
#   PowerShell  mdn --show-completion >> $PROFILE
# or let mdn do it: mdn --install-completion. Then start a new shell."""


class Commands(Mapping[str, Any]):
    """All commands by name. Each is imported and built when it is asked for: a run needs one."""

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)

    def __getitem__(self, name: str) -> Any:
        return _built(name, MODULES[name])


@functools.cache
def _built(name: str, module_name: str) -> Any:
    """A command that a module of mdn.cli holds under its name, or the group that it holds."""
    module = importlib.import_module(f"mdn.cli.{module_name}")
    if hasattr(module, "app"):
        group = typer.main.get_group(module.app)
        group.name = name
        return group
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
    alone.command(name, cls=help.Command)(getattr(module, name))
    return typer.main.get_command(alone)


class Boundary(help.Group):
    """The group of all commands. Whatever leaves a command is caught here, and only here."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self.commands: Any = Commands()

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Options before the command's name; what is wrong with them is said in plain words."""
        words = list(args)
        try:
            if "--show-completion" in words:
                typer.echo(INSTALLING)
            return super().parse_args(ctx, args)
        except CLICKS as error:
            raise _misused(ctx, words, error) from None
        except UsageError as error:  # --help and --version print to a closed stream
            raise _failed(ctx, words, error) from None

    def invoke(self, ctx: Any) -> Any:
        """Runs the command named on the command line."""
        words = [*ctx._protected_args, *ctx.args]
        interrupts.phase = "working"
        try:
            return self._run(ctx, words)
        except KeyboardInterrupt as error:  # when the command had ended
            interrupts.phase = "over"
            raise _failed(ctx, words, error) from None
        finally:
            interrupts.phase = "over"

    def _run(self, ctx: Any, words: list[str]) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except TYPERS_OWN as error:
            if isinstance(error, typer.Abort) and isinstance(error.__context__, KeyboardInterrupt):
                raise _failed(ctx, words, error.__context__) from None  # Ctrl-C at a question
            if isinstance(error, CLICKS):
                raise _misused(ctx, words, error) from None
            _drop_what_cannot_be_written()
            raise
        except BrokenPipeError:
            _abandon_stdout()
            raise typer.Exit(BROKEN_PIPE) from None
        except SystemExit as error:  # see `_terminate`
            _document(ctx, words, error)
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise _failed(ctx, words, error) from None


def _misused(ctx: Any, words: list[str], error: Exception) -> Exception:
    """What Typer says of a command line, in plain words and one line; but help stays help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        return error
    failures.reword(error)
    return _failed(ctx, words, error)


def _failed(ctx: Any, words: list[str], error: BaseException) -> typer.Exit:
    """Says in one line why a command ended; the exit that follows."""
    if help.debugging(ctx):
        traceback.print_exc()
    from mdn.cli.views import printable

    first, *more = map(printable, failures.lines(error))
    typer.echo("\n  ".join([f"mdn: {first}", *more]), err=True)
    _document(ctx, words, error)
    _drop_what_cannot_be_written()
    return typer.Exit(failures.explain(error)[1])


def _document(ctx: Any, words: list[str], error: BaseException) -> None:
    """With --json standard output is one document, whatever happens."""
    if "--json" in words and (isinstance(error, CLICKS) or not isinstance(error, TYPERS_OWN)):
        named = [word for word in words if not word.startswith("-")]
        command = " ".join(named[: 2 if named[:1] == ["models"] else 1])
        with contextlib.suppress(OSError, UsageError):
            failures.print_document(ctx.meta, failures.document(command, error))


def _drop_what_cannot_be_written() -> None:
    """Flushes standard output now: at exit Python would report the same failure once more."""
    try:
        sys.stdout.flush()
    except OSError:
        _abandon_stdout()


def _abandon_stdout() -> None:
    """Whoever read our output has left: what Python still holds for it goes nowhere."""
    with contextlib.suppress(OSError, ValueError):  # standard output may be no real file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(flag: bool) -> None:
    if flag:
        typer.echo(f"mdn {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="mdn",
    cls=Boundary,
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOG,
)


@app.callback()
@help.command
def mdn(
    version: Annotated[bool, help.rules(callback=_version, is_eager=True)] = False,
) -> None:
    """Removes noise from images, and leaves everything else about them alone.

    [bold]mdn COMMAND -h[/bold] explains a command and gives examples.
    """


def _fill_closed_streams() -> None:
    """Puts the null device where the caller closed a standard stream (`2>&-`).

    Else the next file to be opened would get that number, and be written to by whoever writes to
    stderr. Standard output is opened for reading, and refuses text: what is sent there is an error,
    not lost.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    if sys.stdout is None:
        os.open(os.devnull, os.O_RDONLY)
        sys.stdout = failures.ClosedOutput()
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")


def _terminate(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)  # unwinds the stack, so that temporary files are taken away


def main() -> None:
    """The console script."""
    _fill_closed_streams()
    signal.signal(signal.SIGTERM, _terminate)
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none; under nohup it is ignored
    if hang_up is not None and signal.getsignal(hang_up) is signal.SIG_DFL:
        signal.signal(hang_up, _terminate)
    if "--debug" not in sys.argv:
        # Libraries warn about a damaged file in their own words, on top of our one line.
        warnings.simplefilter("ignore")
        logging.getLogger().addHandler(logging.NullHandler())
    app(prog_name="mdn")
