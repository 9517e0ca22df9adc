"""`mdn bench analyze`: a command of two words beside one that takes files."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.cli_tools import Run
from tests.cli.test_survey import picture


def test_analyze_is_a_command_beside_bench(run: Run, tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    picture(tmp_path / "clean" / "a.png", 3)
    asked = ("bench", "analyze", "--model", "unittest", "--device", "cpu", "--data", "clean")
    how = ("-o", "out", "--patches", "4", "--side", "32", "--noise", "gaussian:10,poisson:3")
    result = run(*asked, *how)
    assert result.exit_code == 0, result.stderr
    assert "## SRGA" in result.stdout
    assert (tmp_path / "out" / "analysis.csv").exists()
    assert json.loads(run(*asked, *how, "--json").stdout)["noises"] == ["gaussian10", "poisson3"]


def test_help_and_mistakes_are_its_own(run: Run) -> None:
    shown = run("bench", "analyze", "--help").stdout
    assert "mdn bench analyze [OPTIONS]" in shown
    assert "SRGA" in shown
    result = run("bench", "analyze", "--data", "nowhere", "-o", "out")
    assert result.exit_code == 2
    assert "nowhere" in result.stderr
    assert "bench analyze" in run("--help").stdout
