"""The boundary: errors become one line and an exit code; help is instant."""

import subprocess
import sys
from pathlib import Path

import pytest

from mdn import __version__, errors
from tests.cli.cli_tools import MODEL, Make, Run, child_environment, process


def test_the_version(run: Run) -> None:
    assert run("--version").stdout == f"mdn {__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, mdn.cli.app as a\n"
        "try: a.app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'imageio', 'PIL', 'tifffile', 'safetensors', 'distributed'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    assert process(script=code, text=True).stdout.splitlines()[-1] == "HEAVY []"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (errors.MdnError("odd"), 1, "mdn: error: odd"),
        (errors.UsageError("not so"), 2, "mdn: error: not so"),
        (errors.FileError("a.png", "damaged", "copy it again"), 3, "a.png: damaged; copy it again"),
        (errors.NothingDoneError("nothing"), 4, "mdn: error: nothing"),
        (errors.OutOfMemoryError("too large"), 5, "mdn: error: too large"),
        (MemoryError(), 5, "mdn: error: out of memory; give --max-memory"),
        (errors.ModelError("two\nlines"), 6, "mdn: error: two lines"),
        (errors.FileError("\x1b[31m.png", "damaged"), 3, "mdn: error: \\x1b[31m.png: damaged"),
        (KeyboardInterrupt(), 130, "mdn: interrupted"),
        (BrokenPipeError(), 141, ""),
        (PermissionError(13, "No entry", "home/models"), 3, "models: cannot be used (no entry"),
        (ValueError("a bug"), 1, "internal error, ValueError: a bug; run again with --debug"),
    ],
)
def test_errors_become_one_line_and_a_code(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, line: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("mdn.registry.store.names", fail)
    result = run("models", "list")
    assert result.exit_code == code
    assert line in result.stderr
    assert (len(result.stderr.splitlines()), result.stdout) == (1 if line else 0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_standard_output_on_a_full_disk_is_no_internal_error(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        done = process("models", "list", cwd=tmp_path, stdout=full)
    assert (done.returncode, done.stderr.count(b"\n")) == (3, 1)
    assert done.stderr.startswith(b"mdn: error: standard output: cannot be used (no space left")


def shell(words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = f'exec "{sys.executable}" -m mdn {words}'
    how = {"cwd": cwd, "env": child_environment(), "capture_output": True, "text": True}
    return subprocess.run(line, shell=True, timeout=300, **how)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize(("closed", "code"), [("<&-", 2), (">&-", 2), ("2>&-", 0)])
def test_closed_standard_streams(tmp_path: Path, make: Make, closed: str, code: int) -> None:
    make("a.png")
    words = {"<&-": "--from-file - -o b.png", ">&-": "a.png -o -", "2>&-": "a.png -o b.png"}[closed]
    done = shell(f"denoise {words} {' '.join(MODEL)} {closed}", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1 if code else 0)
    assert (tmp_path / "b.png").exists() == (code == 0)


@pytest.mark.parametrize("words", ["--version", "denoise -h", "noise --list", "models list --json"])
def test_text_for_a_closed_standard_output_is_a_usage_error(tmp_path: Path, words: str) -> None:
    done = shell(f"{words} >&-", tmp_path)
    told = "mdn: error: standard output is closed: send it to a file or to /dev/null\n"
    assert (done.returncode, done.stderr) == (2, told)


@pytest.mark.parametrize(
    "arguments", [["--debug", "models", "list"], ["models", "list", "--debug"]]
)
def test_debug_shows_the_traceback_wherever_it_stands(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("mdn.registry.store.names", fail)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("Traceback")
    assert "in fail" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("mdn: error: internal error")


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mdn", "models", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(),
        cwd=tmp_path,
    ) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(timeout=300) != 0
