"""`mdn bench`: the table, the JSON document, the exit codes."""

import json
import sys
from pathlib import Path

import pytest

from tests.cli.cli_tools import MODEL, Make, Run
from tests.cli.test_views import on_a_terminal

GAUSSIAN = (*MODEL, "--data", "clean", "--noise", "gaussian:25")


@pytest.fixture(autouse=True)
def pictures(make: Make) -> None:
    """A folder `clean` of two pictures."""
    make("clean/a.png")
    make("clean/bb.png")


def test_markdown_off_a_terminal(run: Run) -> None:
    result = run("bench", *GAUSSIAN)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "# Benchmark"
    assert any(line.startswith("| gaussian25 | noisy | 2 | 2") for line in lines)
    assert any(line.startswith("| gaussian25 | unittest | 2 |") for line in lines)
    assert result.stderr == ""


def test_json_is_one_document(run: Run) -> None:
    result = run("bench", *GAUSSIAN, "--json", "--metrics", "psnr", "--seed", "3")
    document = json.loads(result.stdout)
    assert document["seed"] == 3
    assert [row["method"] for row in document["rows"]] == ["noisy", "unittest"]
    assert document["exit_code"] == 0


def test_a_model_below_the_limit_is_exit_seven(run: Run) -> None:
    assert run("bench", *GAUSSIAN, "--fail-below", "10").exit_code == 0
    broken = run("bench", *GAUSSIAN, "--fail-below", "90")
    assert broken.exit_code == 7
    assert "mdn: error: clean/gaussian25: unittest has psnr" in broken.stderr
    assert "below 90" in broken.stderr
    assert "| gaussian25 | unittest" in broken.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["--data", "clan", "--root", "."], 2, "did you mean clean"),
        (["--data", "clean", "--noise", "poison"], 2, "try poisson"),
        (["--data", "clean", "-m", "unitest"], 6, "did you mean unittest"),
        (MODEL, 2, "--data"),
    ],
)
def test_what_is_not_known(run: Run, arguments: list[str], code: int, line: str) -> None:
    result = run("bench", *arguments)
    assert (result.exit_code, line in result.stderr) == (code, True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX terminal")
def test_a_terminal_shows_the_table_grow(tmp_path: Path) -> None:
    text, code = on_a_terminal("bench", *GAUSSIAN, cwd=tmp_path)
    assert code == 0
    assert "PSNR dB" in text
    assert "clean/gaussian25" in text
    assert "4/4" in text
