"""`mdn train`: options to settings, rows to lines, and a tiny run in earnest."""

import json
from pathlib import Path

import numpy as np
import pytest

from mdn import io
from mdn.commands import train as task
from mdn.image import Image
from tests.cli.cli_tools import Run

RECIPE = """
name = "tiny"
arch = "unet"
[net]
widths = [4, 8]
blocks = [1, 1]
[data]
sources = ["pictures"]
crop = 16
hold_out = 3
[[noise]]
kind = "gaussian"
low = 0
high = 50
[optim]
steps = 4
warmup = 1
cooldown = 2
batch = 2
groups = 1
[watch]
every = 2
rows = [["gaussian", 25]]
pictures = 1
crop = 32
"""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    """A recipe in the working folder, and pictures for it."""
    (tmp_path / "tiny.toml").write_text(RECIPE)
    (tmp_path / "pictures").mkdir()
    random = np.random.default_rng(0)
    for index in range(4):
        picture = random.integers(0, 256, (1, 40, 40, 3), np.uint8)
        io.write_image(Image(picture), tmp_path / "pictures" / f"{index}.png")
    return "tiny.toml"


def test_a_run_stops_goes_on_and_finishes(run: Run, recipe: str, tmp_path: Path) -> None:
    options = ("-o", "out", "--device", "cpu", "--precision", "fp32", "--threads", "1")
    first = run("train", recipe, "--stop-after", "2", *options)
    assert first.exit_code == 0, first.stderr
    assert first.stdout == ""
    assert "out: stopped at step 2, go on with the same command" in first.stderr
    second = run("train", recipe, *options)
    assert second.exit_code == 0, second.stderr
    rows = [line for line in second.stderr.splitlines() if line.startswith("step ")]
    assert rows[-1].startswith("step 4  loss 0.")
    assert "gaussian-25 " in rows[-1]
    assert second.stderr.splitlines()[-1].startswith("out: finished  ")
    assert (tmp_path / "out" / "training.csv").exists()
    quiet = run("train", recipe, "-q", *options)
    assert (quiet.exit_code, quiet.stderr) == (0, "")


def test_json_is_one_document(run: Run, recipe: str) -> None:
    options = ("-o", "out", "--device", "cpu", "--precision", "fp32", "--threads", "1", "--json")
    first = json.loads(run("train", recipe, "--stop-after", "3", *options).stdout)
    assert (first["step"], first["steps"], first["finished"]) == (3, 4, False)
    whole = run("train", recipe, *options)
    document = json.loads(whole.stdout)
    assert (document["first_step"], document["step"], document["exit_code"]) == (3, 4, 0)
    assert document["finished"]
    assert (document["folder"], document["log"][-1]["step"]) == ("out", 4)
    assert "gaussian-25" in document["log"][-1]
    assert document["notes"][-1] == "continuing from step 3 in out"
    listed = json.loads(run("train", "--list", "--json").stdout)
    assert "photo" in {each["name"] for each in listed}


@pytest.mark.parametrize(("stop_after", "step", "code"), [(None, 7, 130), (5, 7, 0), (5, 6, 130)])
def test_an_interrupted_run_says_so_by_its_exit_code(
    run: Run,
    recipe: str,
    monkeypatch: pytest.MonkeyPatch,
    stop_after: int | None,
    step: int,
    code: int,
) -> None:
    def fake(settings: task.TrainRequest, report: task.Listener) -> task.Result:
        report.begin(2, 100)
        return task.Result(Path("out"), step, 1.0, finished=False)

    monkeypatch.setattr(task, "run", fake)
    options = [] if stop_after is None else ["--stop-after", str(stop_after)]
    assert run("train", recipe, *options).exit_code == code


def test_faults_of_a_recipe_are_a_line_each(run: Run, tmp_path: Path) -> None:
    text = RECIPE.replace("steps = 4", "steps = 0").replace("crop = 16", "cropp = 16")
    (tmp_path / "bad.toml").write_text(text.replace('"gaussian"\nlow', '"gausian"\nlow'))
    result = run("train", "bad.toml", "--json")
    first, *faults = result.stderr.splitlines()
    assert (result.exit_code, first) == (2, f"mdn: error: bad.toml: {len(faults)} faults")
    assert len(faults) >= 3
    assert all(line.startswith("  ") for line in faults)
    for word in ("cropp", "gausian", "steps"):
        assert sum(word in line for line in faults) >= 1
    assert json.loads(result.stdout)["error"].count("; ") >= 2
    (tmp_path / "bad.toml").write_text(RECIPE.replace("crop = 16", "crop = 4"))
    assert run("train", "bad.toml").stderr.count("\n") == 1
