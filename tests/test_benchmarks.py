"""The scripts of benchmarks/ find what they import, and say what folder they want: nothing else
runs them all.
"""

import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

from benchmarks import folders

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_can_be_imported(path: Path) -> None:
    importlib.import_module(f"benchmarks.{path.stem}")


@pytest.mark.parametrize(
    "path", [path for path in SCRIPTS if "folders." in path.read_text()], ids=lambda path: path.stem
)
@pytest.mark.parametrize("wrong", ["nowhere", "empty"])
def test_a_wrong_folder_is_one_line(
    path: Path,
    wrong: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    named = str(tmp_path / wrong)
    monkeypatch.setattr(sys, "argv", [path.stem, named, str(tmp_path / "out")])
    monkeypatch.delitem(sys.modules, f"benchmarks.{path.stem}", raising=False)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module(f"benchmarks.{path.stem}", run_name="__main__")
    line = capsys.readouterr().err
    assert ended.value.code == 2
    assert re.fullmatch(rf"error: {re.escape(named)}: no .*PICTURES.*\n", line)


def test_pictures_and_its_part_for_tests_are_taken_alike(tmp_path: Path) -> None:
    (tmp_path / "test" / "ood").mkdir(parents=True)
    found = folders.with_parts("ood")
    assert found(str(tmp_path)) == found(str(tmp_path / "test")) == tmp_path / "test"
