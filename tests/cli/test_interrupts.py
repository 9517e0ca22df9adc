"""Ctrl-C at any moment is one line and exit code 130; with --json a document too."""

import json
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.cli_tools import Make, process

# Interrupts itself when the module of that name is about to be imported.
SCRIPT = """
import os, signal, sys
wanted, number = sys.argv.pop(1), int(sys.argv.pop(1))
if "ignored" not in globals():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
class Finder:
    def find_spec(self, name, *_):
        if name == wanted:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Finder())
from mdn.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("module", "number"),
    [
        ("typer", signal.SIGINT),
        ("typer", signal.SIGTERM),
        ("mdn.cli.denoise", signal.SIGINT),
        ("torch", signal.SIGINT),
        ("mdn.commands.denoise", signal.SIGTERM),
    ],
)
def test_an_import_that_is_interrupted(
    module: str, number: signal.Signals, make: Make, tmp_path: Path
) -> None:
    make("a.png")
    words = [module, int(number), "denoise", "a.png", "-m", "unittest", "--json"]
    done = process(*words, script=SCRIPT, cwd=tmp_path, text=True)
    word, told = ("terminated", "")
    if number == signal.SIGINT:
        word, told = ("interrupted", "mdn: interrupted\n")
    assert (done.returncode, done.stderr) == (128 + number, told)
    found = {"command": "denoise", "error": word, "exit_code": 128 + number}
    assert (json.loads(done.stdout), list(tmp_path.iterdir())) == (found, [tmp_path / "a.png"])


def test_ignored_interrupts_stay_ignored() -> None:
    """As under nohup: the run goes on."""
    ignored = "import signal; ignored = signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    assert process("typer", 2, "--version", script=ignored + SCRIPT).returncode == 0


# A command that ends as it is told. At the Nth moment after its last line at which Python minds
# signals comes Ctrl-C, for each N in a process of its own.
AT_THE_END = """
import os, signal, sys, traceback
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may ignore it
import typer.main
import mdn.__main__
from mdn.cli import app

ending, sys.argv = sys.argv[1], ["mdn", "models"]
wanted = struck = 0

def command():
    seen = 0
    def look(frame, event, argument):
        nonlocal seen
        global struck
        seen += event in ("call", "c_return")
        if seen == wanted:
            sys.setprofile(None)
            struck = True
            os.kill(os.getpid(), signal.SIGINT)
    if wanted:
        sys.setprofile(look)
    if ending == "Ctrl-C":
        raise KeyboardInterrupt
    if ending == "exit":
        raise typer.Exit(0)

only = typer.Typer()
only.command()(command)
built = typer.main.get_command(only)
app._built = lambda *names: built
try:
    mdn.__main__.main()  # so that forks have all imports
except SystemExit:
    pass
while True:
    wanted += 1
    ours, theirs = os.pipe()
    if not (child := os.fork()):
        os.dup2(theirs, 2)
        try:
            mdn.__main__.main()
        except SystemExit as left:
            sys.setprofile(None)
            os._exit(left.code if struck else 99)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(theirs)
    said = b"".join(iter(lambda: os.read(ours, 4096), b"")).decode()
    os.close(ours)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 99:
        break
    print(code, repr(said))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
@pytest.mark.parametrize("ending", ["return", "exit", "Ctrl-C"])
def test_a_command_that_is_interrupted_at_its_end(ending: str) -> None:
    """At every moment: one line, and exit code 130."""
    done = process(ending, script=AT_THE_END, text=True)
    once = repr("mdn: interrupted\n")
    twice = repr("mdn: interrupted\n" * 2)  # the second while the first is answered
    ends = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert len(ends) > 10
    assert set(ends) <= {f"130 {once}", f"130 {twice}"}


def test_a_python_that_is_interrupted_at_its_end() -> None:
    """While the interpreter joins its threads, too."""
    script = "import atexit\natexit.register(lambda: os.kill(os.getpid(), number))\n" + SCRIPT
    done = process("nothing", 2, "--version", script=script, text=True)
    assert (done.returncode, done.stderr) == (130, "mdn: interrupted\n")
