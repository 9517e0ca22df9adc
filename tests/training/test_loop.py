"""Training: resumes to the bit, shares its work among processes, and keeps what it has."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from mdn.errors import MdnError, UsageError
from mdn.registry import store
from mdn.registry.load import load
from mdn.tasks.train import Result, Settings, run

Recipes = Callable[..., Path]


class Listener:
    """A report that remembers."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.rows: list[dict[str, Any]] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def begin(self, step: int, steps: int) -> None:
        self.first = step

    def row(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def train(recipe: Path, data: Path, out: Path, **more: Any) -> Result:
    settings = Settings(recipe, data, out, device="cpu", precision="fp32", **more)
    return run(settings, Listener())


def state(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def log_of(folder: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((folder / "training.csv").open()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.parametrize("name", ["muon", "adam", "adamw"])
def test_stopped_and_resumed_equals_unbroken(
    name: str, tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    recipe = write_recipe(name)
    assert train(recipe, data, tmp_path / "whole").finished
    for stop_after in (3, 2, None):
        result = train(recipe, data, tmp_path / "parts", stop_after=stop_after)
    assert result.finished
    whole, parts = state(tmp_path / "whole"), state(tmp_path / "parts")
    for part in ("net", "average"):
        for key, value in whole[part].items():
            assert torch.equal(value, parts[part][key]), f"{part} {key}"
    assert log_of(tmp_path / "whole")[-1] == log_of(tmp_path / "parts")[-1]


def test_training_moves_the_weights_and_the_model_loads(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    train(write_recipe(), data, tmp_path / "run")
    card = store.find(str(tmp_path / "run"))
    net = load(card, torch.device("cpu"))
    assert card.parameters == sum(p.numel() for p in net.parameters())
    assert card.scores["held-out training pictures, PSNR"].keys() == {"gaussian-25", "spatial-55"}
    assert load_file(tmp_path / "run" / "weights.safetensors")["tail.weight"].any()
    assert (tmp_path / "run" / "recipe.toml").read_text() == (tmp_path / "recipe.toml").read_text()


def test_a_log_row_after_the_checkpoint_is_dropped_on_resume(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    recipe, out = write_recipe(), tmp_path / "run"
    train(recipe, data, out, stop_after=5)
    with (out / "training.csv").open("a") as stream:
        stream.write("7,1.0,0.5,1.0,,\n")  # as a run killed after step 7 leaves it
    train(recipe, data, out)
    assert [row["step"] for row in log_of(out)] == ["4", "8"]


def test_sigterm_keeps_a_checkpoint(tmp_path: Path, data: Path, write_recipe: Recipes) -> None:
    recipe = write_recipe(steps=100000)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    result = train(recipe, data, tmp_path / "run")
    assert not result.finished
    assert state(tmp_path / "run")["step"] == result.step > 0


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(
    tmp_path: Path, data: Path, write_recipe: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = write_recipe(), tmp_path / "run"
    train(recipe, data, out, stop_after=4)
    before = (out / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(torch.nn.functional, "l1_loss", lambda a, b: (a - b).sum() * torch.nan)
    with pytest.raises(MdnError, match="step 4: the loss is not a number"):
        train(recipe, data, out)
    assert (out / "checkpoint.pt").read_bytes() == before


def test_a_checkpoint_of_another_net_is_refused(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    train(write_recipe(), data, tmp_path / "run", stop_after=1)
    with pytest.raises(UsageError, match="another net"):
        train(write_recipe(widths="[8, 8]"), data, tmp_path / "run")
    assert train(write_recipe(widths="[8, 8]"), data, tmp_path / "run", resume=False).finished


def test_a_run_can_start_from_other_weights(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    train(write_recipe(), data, tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    recipe = write_recipe(seed=f'3\nstart = "{weights}"', lr="1e-9")
    train(recipe, data, tmp_path / "second", stop_after=1)
    started = state(tmp_path / "second")["net"]["body.0.first.weight"]
    torch.testing.assert_close(started, load_file(weights)["body.0.first.weight"].float())


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path, data: Path, write_recipe: Recipes) -> None:
    recipe = write_recipe("adam")
    train(recipe, data, tmp_path / "one")
    script = tmp_path / "go.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom tests.training.test_loop import train\n"
        "train(*map(Path, sys.argv[1:]))\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-port", "29517", str(script), str(recipe), str(data)]
    command += [str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
    one, two = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    for a, b in zip(one, two, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), abs=2e-6)
    for key, value in state(tmp_path / "one")["net"].items():
        torch.testing.assert_close(value, state(tmp_path / "two")["net"][key], atol=1e-4, rtol=1e-3)
