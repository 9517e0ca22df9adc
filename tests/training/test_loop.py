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


def state(folder: str | Path) -> dict[str, Any]:
    return torch.load(Path(folder) / "checkpoint.pt", weights_only=True)


def log_of(folder: str | Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader((Path(folder) / "training.csv").open()))
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


Go = Callable[..., Result]


@pytest.fixture
def go(tmp_path: Path, data: Path, write_recipe: Recipes, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Trains by the tiny recipe, in which words are replaced, into `out` of the working folder."""
    monkeypatch.chdir(tmp_path)

    def call(
        out: str = "run", name: str = "muon", listener: Listener | None = None,
        replaced: dict[str, Any] | None = None, **more: Any,
    ) -> Result:  # fmt: skip
        return train(write_recipe(name, **(replaced or {})), data, Path(out), listener, **more)

    return call


@pytest.mark.parametrize("name", ["muon", "adam", "adamw"])
def test_stopped_and_resumed_equals_unbroken(name: str, go: Go) -> None:
    assert go("whole", name).finished
    for stop_after in (3, 2, None):
        result = go("parts", name, stop_after=stop_after)
    assert result.finished
    whole, parts = state("whole"), state("parts")
    for part in ("net", "average"):
        for key, value in whole[part].items():
            assert torch.equal(value, parts[part][key]), f"{part} {key}"
    assert log_of("whole")[-1] == log_of("parts")[-1]


def test_training_moves_the_weights_and_the_model_loads(go: Go) -> None:
    go()
    card = store.find(str(Path("run").absolute()))
    net = load(card, torch.device("cpu"))
    assert card.parameters == sum(p.numel() for p in net.parameters())
    assert card.scores["held-out training pictures, PSNR"].keys() == {"gaussian-25", "spatial-55"}
    assert load_file("run/weights.safetensors")["tail.weight"].any()
    assert Path("run/recipe.toml").read_text() == Path("recipe.toml").read_text()


def test_a_log_row_after_the_checkpoint_is_dropped_on_resume(go: Go) -> None:
    go(stop_after=5)
    with open("run/training.csv", "a") as stream:
        stream.write("7,1.0,0.5,1.0,,\n")  # as a run killed after step 7 leaves it
    go()
    assert [row["step"] for row in log_of("run")] == ["4", "8"]


def test_sigterm_keeps_a_checkpoint(go: Go) -> None:
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    result = go(replaced={"steps": 100000})
    assert (result.finished, result.signal) == (False, signal.SIGTERM)
    assert state("run")["step"] == result.step > 0


def no_memory(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1")


@pytest.mark.parametrize(
    ("loss", "error", "told"),
    [
        (lambda a, b: (a - b).sum() * torch.nan, MdnError, "step 4: the loss is not a number"),
        (no_memory, OutOfMemoryError, r"lower \[optim\] batch.*of step 4 is kept"),
    ],
    ids=["no number", "no memory"],
)
def test_what_ends_a_run_keeps_the_checkpoint(
    go: Go, monkeypatch: pytest.MonkeyPatch, loss: Any, error: type[Exception], told: str
) -> None:
    go(stop_after=4)
    before = Path("run/checkpoint.pt").read_bytes()
    monkeypatch.setattr(torch.nn.functional, "l1_loss", loss)
    with pytest.raises(error, match=told):
        go()
    assert Path("run/checkpoint.pt").read_bytes() == before


def test_a_checkpoint_of_another_net_is_refused(go: Go) -> None:
    go(stop_after=1)
    with pytest.raises(UsageError, match="another net"):
        go(replaced={"widths": "[8, 8]"})
    assert go(replaced={"widths": "[8, 8]"}, resume=False).finished


def test_a_run_can_start_from_other_weights(go: Go, tmp_path: Path) -> None:
    go("first")
    weights = tmp_path / "first" / "weights.safetensors"
    replaced = {"seed": f'3\ninit_weights = "{weights}"', "lr": "1e-9"}
    go("second", replaced=replaced, stop_after=1)
    started = state("second")["net"]["body.0.first.weight"]
    torch.testing.assert_close(started, load_file(weights)["body.0.first.weight"].float())


def test_the_same_run_gives_the_same_bytes(go: Go) -> None:
    for name in ("a", "b"):
        go(name, stop_after=1)
    weights = [Path(name, "weights.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    # The order of the metadata is drawn anew in each process, so twice the same proves little.
    length = int.from_bytes(weights[0][:8], "little")
    header = json.loads(weights[0][8 : 8 + length])
    assert list(header["__metadata__"]) == ["arch", "config"]
    assert (next(iter(header)), length % 8) == ("__metadata__", 0)


def test_what_changed_since_the_checkpoint_is_said_and_takes_effect(go: Go) -> None:
    go(name="adamw", stop_after=2)
    same, other = Listener(), Listener()
    go(name="adamw", listener=same, stop_after=1)
    assert not any("has changed" in note for note in same.notes)
    changes = {"optim": {"lr": 0.5, "weight_decay": 0.3}, "data": {"gray": 0.0}}
    go(name="adamw", listener=other, stop_after=1, changes=changes)
    told = "the recipe has changed since: data.gray 0.25 -> 0.0; optim.lr 0.01 -> 0.5;"
    assert told in other.notes[-1]
    (group,) = state("run")["optimisers"][0]["param_groups"]
    assert (group["weight_decay"], group["lr"]) == (0.3, 0.5)


def test_a_run_of_release_0_1_goes_on(go: Go) -> None:
    go(name="adam", stop_after=5)
    former = state("run")
    former["net_config"][1] = former["net_config"][1].replace("noise_conditioned=", "levelled=")
    torch.save(former, "run/checkpoint.pt")
    log = Path("run/training.csv")
    log.write_text(log.read_text().replace("lr_scale", "pace"))
    assert go(name="adam").finished
    assert [row["lr_scale"] != "" for row in log_of("run")] == [True, True]


@pytest.mark.parametrize(("former", "now"), [("adam", "muon"), ("muon", "adam")])
def test_a_checkpoint_of_another_optimiser_is_refused(go: Go, former: str, now: str) -> None:
    go(name=former, stop_after=1)
    with pytest.raises(UsageError, match="another optimiser"):
        go(name=now)
    go("with", "adam", stop_after=1)
    go("with", "adamw", stop_after=1)  # the same moments: it may go on


def test_pictures_to_watch_can_be_named(go: Go, data: Path) -> None:
    shutil.copytree(data / "pictures", data / "others")
    (data / "others" / "0.png").rename(data / "others" / "9.png")
    for changes in ({"watch": {"sources": ["others"]}}, {"data": {"hold_out": 0}}):
        listener = Listener()
        go(listener=listener, resume=False, changes=changes)
        scored = "gaussian-25" in listener.rows[-1]
        assert scored == ("watch" in changes)
        assert any("no picture to validate on" in note for note in listener.notes) != scored


def test_half_precision_trains(go: Go) -> None:
    found = {}
    for precision in ("fp32", "bf16", "fp16"):
        go(precision, "adam", precision=precision)
        found[precision] = state(precision)
        assert found[precision]["net"]["tail.weight"].dtype == torch.float32
        assert bool(found[precision]["scaler"]) == (precision == "fp16")
        loss, exact = (float(log_of(name)[-1]["loss"]) for name in (precision, "fp32"))
        assert loss == pytest.approx(exact, rel=0.02)
    for precision in ("bf16", "fp16"):
        tails = [found[name]["net"]["tail.weight"] for name in ("fp32", precision)]
        assert not torch.equal(*tails)


def test_a_net_that_does_not_compile_is_trained_all_the_same(
    go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(net: torch.nn.Module) -> Callable[..., torch.Tensor]:
        def call(*values: Any, **named: Any) -> torch.Tensor:
            raise RuntimeError("backend='inductor' raised:\nno C++ compiler found")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    listener = Listener()
    assert go("a", listener=listener, compile=True).finished
    assert "cannot be compiled, and trains without: backend='inductor' raised:" in listener.notes
    go("b")
    for key, value in state("b")["net"].items():
        assert torch.equal(value, state("a")["net"][key])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler here")
def test_a_compiled_net_trains_as_a_plain_one(go: Go) -> None:
    listener = Listener()
    go("a", "adam", listener, compile=True)
    assert not any("compiled" in note for note in listener.notes)
    go("b", "adam")
    for a, b in zip(log_of("a"), log_of("b"), strict=True):
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


def test_a_rewind_that_is_killed_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Log(tmp_path / "training.csv", ["gaussian-25"])
    for step in range(1, 7):
        made.write({"step": step, "seconds": 1.0, "loss": 0.5, "lr_scale": 1})
    before, rows = made.path.read_bytes(), []

    class Killed(csv.DictWriter):
        def writerow(self, row: Any) -> Any:
            rows.append(row)
            if len(rows) > 2:
                raise KeyboardInterrupt
            return super().writerow(row)

        def writerows(self, rows: Any) -> None:
            for row in rows:
                self.writerow(row)

    monkeypatch.setattr(log.csv, "DictWriter", Killed)
    with pytest.raises(KeyboardInterrupt):
        made.rewind(4)
    assert (made.path.read_bytes(), list(tmp_path.iterdir())) == (before, [made.path])
