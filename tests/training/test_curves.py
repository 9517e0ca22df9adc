"""Logs become a picture with a line by run and a panel by noise."""

import csv
from pathlib import Path

import pytest
from PIL import Image

from mdn import plots
from mdn.commands.train import TrainRequest, plot, run
from mdn.errors import FileError, UsageError
from tests.training.test_loop import Listener, Recipes

pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def no_curves() -> None:
    """Here they are wanted."""


def log(folder: Path, rows: list[str], gain: float = 1.0) -> Path:
    folder.mkdir(parents=True)
    with (folder / "training.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["step", "seconds", "loss", "lr_scale", *rows])
        for step in range(50, 2001, 50):
            scores = [20 + gain * step / 500 if step % 500 == 0 else "" for _ in rows]
            writer.writerow([step, step / 10, 1 / step, 1, *scores])
    return folder


def test_the_picture_is_written_and_replaced_but_not_over_another(tmp_path: Path) -> None:
    run = log(tmp_path / "run", ["gaussian-15"])
    assert plot([str(run)], None) == run / "curves.png"
    assert plot([str(run)], None) == run / "curves.png"
    assert Image.open(run / "curves.png").size[0] > 300
    for _ in range(2):
        plot([str(run), str(run)], tmp_path / "both.svg")
    holiday = tmp_path / "holiday.png"
    Image.new("RGB", (4, 4)).save(holiday)
    before = holiday.read_bytes()
    with pytest.raises(FileError, match="no picture of curves"):
        plot([str(run)], holiday)
    assert holiday.read_bytes() == before


def test_what_cannot_be_drawn_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = log(tmp_path / "run", [])
    with pytest.raises(UsageError, match=r"no training run: it has no training\.csv"):
        plot([str(tmp_path)], None)
    with pytest.raises(UsageError, match="needs a name"):
        plot([str(run), str(run)], None)
    with pytest.raises(UsageError, match="ends in"):
        plot([str(run)], tmp_path / "x.gif")
    with pytest.raises(UsageError, match="name the folders"):
        plot([], None)
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'mdn\[plots\]'"):
        plot([str(run)], None)


@pytest.mark.parametrize("there", [b"", b"a picture of somebody else's"])
def test_a_run_draws_its_own_curves_and_does_not_end_for_a_picture(
    tmp_path: Path, data: Path, write_recipe: Recipes, there: bytes
) -> None:
    out, listener = tmp_path / "run", Listener()
    out.mkdir()
    if there:
        (out / "curves.png").write_bytes(there)
    settings = TrainRequest(str(write_recipe()), data, out, device="cpu", precision="fp32")
    assert run(settings, listener).finished
    assert any("no longer drawn" in note for note in listener.notes) is bool(there)
    if there:
        assert (out / "curves.png").read_bytes() == there
    else:
        assert Image.open(out / "curves.png").size[0] > 300
