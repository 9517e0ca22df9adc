"""Training: resumes to the bit, shares its work among processes, and keeps what it has."""

import csv
import json
import os
import shutil
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

from mdn.commands.train import Result, TrainRequest, run
from mdn.errors import MdnError, OutOfMemoryError, UsageError
from mdn.registry import store
from mdn.registry.model import load
from mdn.training import log
from mdn.training.log import Log

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

    def step(self, step: int) -> None: ...

    def row(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def train(
    recipe: Path, data: Path, out: Path, listener: Listener | None = None, **more: Any
) -> Result:
    options = {"device": "cpu", "precision": "fp32"} | more
    return run(TrainRequest(str(recipe), data, out, **options), listener or Listener())


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
    assert result.signal == signal.SIGTERM
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
    recipe = write_recipe(seed=f'3\ninit_weights = "{weights}"', lr="1e-9")
    train(recipe, data, tmp_path / "second", stop_after=1)
    started = state(tmp_path / "second")["net"]["body.0.first.weight"]
    torch.testing.assert_close(started, load_file(weights)["body.0.first.weight"].float())


def test_the_same_run_gives_the_same_bytes(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    for name in ("a", "b"):
        train(write_recipe(), data, tmp_path / name, stop_after=1)
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    # The order of the metadata is drawn anew in each process, so twice the same proves little.
    length = int.from_bytes(weights[0][:8], "little")
    header = json.loads(weights[0][8 : 8 + length])
    assert list(header["__metadata__"]) == ["arch", "config"]
    assert (next(iter(header)), length % 8) == ("__metadata__", 0)


def test_what_changed_since_the_checkpoint_is_said_and_takes_effect(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    train(write_recipe("adamw"), data, tmp_path / "run", stop_after=2)
    same, other = Listener(), Listener()
    train(write_recipe("adamw"), data, tmp_path / "run", same, stop_after=1)
    assert not any("has changed" in note for note in same.notes)
    changes = {"optim": {"lr": 0.5, "weight_decay": 0.3}, "data": {"gray": 0.0}}
    train(write_recipe("adamw"), data, tmp_path / "run", other, stop_after=1, changes=changes)
    assert (
        "the recipe has changed since: data.gray 0.25 -> 0.0; optim.lr 0.01 -> 0.5;"
        in (other.notes[-1])
    )
    (group,) = state(tmp_path / "run")["optimisers"][0]["param_groups"]
    assert (group["weight_decay"], group["lr"]) == (0.3, 0.5)


def test_a_run_of_release_0_1_goes_on(tmp_path: Path, data: Path, write_recipe: Recipes) -> None:
    recipe, out = write_recipe("adam"), tmp_path / "run"
    train(recipe, data, out, stop_after=5)
    former = state(out)
    former["net_config"][1] = former["net_config"][1].replace("noise_conditioned=", "levelled=")
    torch.save(former, out / "checkpoint.pt")
    log = out / "training.csv"
    log.write_text(log.read_text().replace("lr_scale", "pace"))
    assert train(recipe, data, out).finished
    assert [row["lr_scale"] != "" for row in log_of(out)] == [True, True]


def test_a_checkpoint_of_another_optimiser_is_refused(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    for former, now in (("adam", "muon"), ("muon", "adam"), ("adam", "adamw")):
        out = tmp_path / f"{former}-{now}"
        train(write_recipe(former), data, out, stop_after=1)
        if (former, now) == ("adam", "adamw"):  # the same moments: it may go on
            train(write_recipe(now), data, out, stop_after=1)
            continue
        with pytest.raises(UsageError, match="another optimiser"):
            train(write_recipe(now), data, out)


def test_memory_that_runs_out_in_a_step_keeps_the_checkpoint(
    tmp_path: Path, data: Path, write_recipe: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, out = write_recipe(), tmp_path / "run"
    train(recipe, data, out, stop_after=4)
    before = (out / "checkpoint.pt").read_bytes()

    def starve(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1")

    monkeypatch.setattr(torch.nn.functional, "l1_loss", starve)
    with pytest.raises(OutOfMemoryError, match=r"lower \[optim\] batch.*of step 4 is kept"):
        train(recipe, data, out)
    assert (out / "checkpoint.pt").read_bytes() == before


def test_pictures_to_watch_can_be_named(tmp_path: Path, data: Path, write_recipe: Recipes) -> None:
    shutil.copytree(data / "pictures", data / "others")
    (data / "others" / "0.png").rename(data / "others" / "9.png")
    for changes in ({"watch": {"sources": ["others"]}}, {"data": {"hold_out": 0}}):
        listener = Listener()
        train(write_recipe(), data, tmp_path / "run", listener, resume=False, changes=changes)
        scored = "gaussian-25" in listener.rows[-1]
        assert scored == ("watch" in changes)
        assert any("no picture to validate on" in note for note in listener.notes) != scored


def test_half_precision_trains(tmp_path: Path, data: Path, write_recipe: Recipes) -> None:
    found = {}
    for precision in ("fp32", "bf16", "fp16"):
        listener = Listener()
        train(write_recipe("adam"), data, tmp_path / precision, listener, precision=precision)
        found[precision] = state(tmp_path / precision)
        assert found[precision]["net"]["tail.weight"].dtype == torch.float32
        assert bool(found[precision]["scaler"]) == (precision == "fp16")
        loss = log_of(tmp_path / precision)[-1]["loss"]
        assert float(loss) == pytest.approx(float(log_of(tmp_path / "fp32")[-1]["loss"]), rel=0.02)
    for precision in ("bf16", "fp16"):
        tails = [found[name]["net"]["tail.weight"] for name in ("fp32", precision)]
        assert not torch.equal(*tails)


def test_a_net_that_does_not_compile_is_trained_all_the_same(
    tmp_path: Path, data: Path, write_recipe: Recipes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(net: torch.nn.Module) -> Callable[..., torch.Tensor]:
        def call(*values: Any, **named: Any) -> torch.Tensor:
            raise RuntimeError("backend='inductor' raised:\nno C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    listener = Listener()
    assert train(write_recipe(), data, tmp_path / "a", listener, compile=True).finished
    assert "cannot be compiled, and trains without: backend='inductor' raised:" in listener.notes
    train(write_recipe(), data, tmp_path / "b")
    for key, value in state(tmp_path / "b")["net"].items():
        assert torch.equal(value, state(tmp_path / "a")["net"][key])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_a_compiled_net_trains_as_a_plain_one(
    tmp_path: Path, data: Path, write_recipe: Recipes
) -> None:
    listener = Listener()
    train(write_recipe("adam"), data, tmp_path / "a", listener, compile=True)
    assert not any("compiled" in note for note in listener.notes)
    train(write_recipe("adam"), data, tmp_path / "b")
    for a, b in zip(log_of(tmp_path / "a"), log_of(tmp_path / "b"), strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-3)


def test_a_small_masked_swinir_trains_and_loads(tmp_path: Path, data: Path) -> None:
    changes = {
        "net": {"depths": [1, 1], "dim": 12, "heads": 3},
        "data": {"sources": ["pictures"], "crop": 16, "hold_out": 3},
        "optim": {"steps": 3, "batch": 4, "warmup": 1, "cooldown": 1},
        "watch": {"crop": 32, "pictures": 1, "every": 3, "rows": [["gaussian", 25]]},
    }
    without = {"input_mask": "none", "attention_ratio": [0.0, 0.0]}
    for name, masks in (("masked", {}), ("unmasked", without)):
        listener, own = Listener(), changes | {"net": changes["net"] | masks}
        assert train(Path("ablation"), data, tmp_path / name, listener, changes=own).finished
        assert 0 < listener.rows[-1]["loss"] < 1
        net = load(store.find(str(tmp_path / name)), torch.device("cpu"))
        assert net.masked == (name == "masked")


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
    command += ["--standalone", str(script), str(recipe), str(data)]  # a port that is free
    command += [str(tmp_path / "two")]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    one, two = log_of(tmp_path / "one"), log_of(tmp_path / "two")
    for a, b in zip(one, two, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), abs=2e-6)
    for key, value in state(tmp_path / "one")["net"].items():
        torch.testing.assert_close(value, state(tmp_path / "two")["net"][key], atol=1e-4, rtol=1e-3)


def logged(folder: Path, steps: int) -> Log:
    made = Log(folder / "training.csv", ["gaussian-25"])
    for step in range(1, steps + 1):
        made.write({"step": step, "seconds": 1.0, "loss": 0.5, "lr_scale": 1})
    return made


def test_a_rewind_that_is_killed_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = logged(tmp_path, 6)
    before = made.path.read_bytes()

    class Killed(csv.DictWriter):
        rows = 0

        def writerow(self, row: Any) -> Any:
            Killed.rows += 1
            if Killed.rows > 2:
                raise KeyboardInterrupt
            return super().writerow(row)

        def writerows(self, rows: Any) -> None:
            for row in rows:
                self.writerow(row)

    monkeypatch.setattr(log.csv, "DictWriter", Killed)
    with pytest.raises(KeyboardInterrupt):
        made.rewind(4)
    assert (made.path.read_bytes(), list(tmp_path.iterdir())) == (before, [made.path])
