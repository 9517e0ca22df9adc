"""A recipe or a data folder that cannot work is refused in one line before any training."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mdn.errors import UsageError
from mdn.training.data import Crops, load_pictures, split
from mdn.training.data import main as pack
from mdn.training.optim import lr_scale
from mdn.training.recipe import OptimRecipe
from mdn.training.recipe_files import load
from mdn.training.recipe_parse import parse

Recipes = Callable[..., Path]


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("steps", "0", "steps must be at least 1"),
        ("groups", "3", "groups must divide batch"),
        ("crop = 16", "2", "crop"),
        ("sources", "[]", "sources is empty"),
        ("warmup", "7", "warmup"),
        ("lr", "-1", "lr must be above 0"),
        ("lr", '"fast"', "type float"),
        ("loss", '"l3"', "choose l1, l2"),
        ("name", '"sgd"', "choose muon"),
        ("hold_out", "1", "hold_out"),
        ("share", "0.5\nhigh = 1.0", "mask"),
        ("gray", "0.25\ngrey = 1", "did you mean 'gray'"),
        ("arch", '"unet"\nname =', "not a readable recipe"),
        ("sources", '"pictures"', "should be a list"),
        ("rows", '[["gaussian"]]', "of \\[kind, level\\] each"),
        ("lr", "nan", "finite"),
        ("cooldown", "-3", "at least 0"),
    ],
)
def test_a_recipe_that_cannot_fit(
    key: str, value: str, complaint: str, write_recipe: Recipes
) -> None:
    path = write_recipe()
    rows = reversed(path.read_text().splitlines())
    line = next(row for row in rows if row.startswith(key if "=" in key else f"{key} ="))
    path.write_text(path.read_text().replace(line, f"{line.split()[0]} = {value}"))
    with pytest.raises(UsageError, match=complaint):
        load(path)


def test_all_faults_are_told_at_once() -> None:
    table = {
        "arch": "unte",
        "learning": 3,
        "data": {"sources": "photos", "crop": 2, "grey": 1},
        "noise": [{"kind": "gausian", "low": 60, "high": 50}, {"low": 1}],
        "optim": {"lr": "fast", "steps": 10, "warmup": 8, "cooldown": 8, "schedule": "step"},
        "jpeg": 3,
    }
    with pytest.raises(UsageError) as caught:
        parse(table, "my.toml")
    told = str(caught.value)
    assert told.startswith("my.toml: 11 faults: ")
    assert "\n" not in told
    for fault in (
        "'name' is missing",
        "unknown key 'learning'",
        "[data] sources = 'photos': should be a list",
        "[data] crop must be at least 8",
        "[data] unknown key 'grey'; did you mean 'gray'",
        "[[noise]] 'kind' is missing",
        "[[noise]] 'high' is missing",
        "[optim] lr = 'fast': should be of type float",
        "[optim] schedule = 'step': choose trapezoid, cosine, halving",
        "[[noise]] unknown noise type 'gausian'; try gaussian",
        "[jpeg] must be a table",
    ):
        assert fault in told
    table = {  # values that are right, but do not go together
        "name": "x",
        "arch": "unte",
        "data": {"sources": ["photos"]},
        "noise": [{"kind": "gaussian", "low": 60, "high": 50}],
        "optim": {"steps": 10, "warmup": 8, "cooldown": 8},
    }
    with pytest.raises(UsageError) as caught:
        parse(table)
    for fault in (
        "arch = 'unte' is unknown; did you mean 'unet'",
        "[[noise]] low is above high",
        "[optim] warmup (8) + cooldown (8) exceed steps (10)",
    ):
        assert fault in str(caught.value)


def test_a_short_recipe_needs_no_word_on_warmup_and_cooldown(write_recipe: Recipes) -> None:
    path = write_recipe()
    lines = path.read_text().splitlines()
    path.write_text("\n".join(x for x in lines if not x.startswith(("warmup", "cooldown"))))
    for steps, warmup, cooldown in ((60, 6, 15), (1, 0, 0), (20000, 200, 5000)):
        optim = load(path, {"optim": {"steps": steps}}).optim
        assert (optim.warmup, optim.cooldown) == (warmup, cooldown)
    late = load(path, {"optim": {"steps": 60, "warmup": 55}}).optim
    assert late.cooldown == 5


def test_a_packed_file_takes_the_place_of_the_folders(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(data / "pictures", data / "more" / "pictures")
    folders, out = ["pictures", "more/pictures"], data / "all.safetensors"
    typed = ["data", *folders, "--data", str(data), "-o", str(out)]
    monkeypatch.setattr("sys.argv", typed)
    pack()
    packed, plain = (load_pictures(names, data) for names in (("all.safetensors",), tuple(folders)))
    assert (list(packed), len(packed)) == (list(plain), 12)
    for one, other in zip(split(packed, 3), split(plain, 3), strict=True):
        assert all(map(torch.equal, one, other))


def test_packing_says_in_one_line_what_is_wrong(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sources, out, code in (("gone", data / "a.safetensors", 2), ("pictures", data / "no/a", 3)):
        monkeypatch.setattr("sys.argv", ["data", sources, "--data", str(data), "-o", str(out)])
        with pytest.raises(SystemExit) as ended:
            pack()
        assert ended.value.code == code
        told = capsys.readouterr().err
        assert told.startswith("error: ")
        assert told.count("\n") == 1


def test_empty_missing_and_unreadable_data(data: Path) -> None:
    (data / "empty").mkdir()
    (data / "bad").mkdir()
    (data / "bad" / "a.png").write_bytes(b"not a picture")
    (data / "bad.safetensors").write_bytes(b"not a shard")
    with pytest.raises(UsageError, match="no pictures"):
        load_pictures(("empty",), data)
    with pytest.raises(UsageError, match="no such training folder"):
        load_pictures(("gone",), data)
    with pytest.raises(UsageError, match=r"a\.png: not a readable picture"):
        load_pictures(("bad",), data)
    with pytest.raises(UsageError, match="not a readable shard"):
        load_pictures(("bad.safetensors",), data)


def test_crops_lie_inside_and_small_pictures_are_left_out() -> None:
    pictures = [torch.full((3, 16, 16), 51, dtype=torch.uint8), torch.zeros(3, 8, 40).byte()]
    crops = Crops(pictures, 16, torch.device("cpu"))
    drawn = crops.draw(5, torch.Generator().manual_seed(0))
    assert crops.left_out == 1
    torch.testing.assert_close(drawn, torch.full((5, 3, 16, 16), 0.2))
    with pytest.raises(UsageError, match="smaller than the crop"):
        Crops(pictures, 32, torch.device("cpu"))


def test_schedules() -> None:
    trapezoid = OptimRecipe(steps=100, warmup=10, cooldown=40)
    assert (lr_scale(trapezoid, 0), lr_scale(trapezoid, 30)) == (pytest.approx(0.1), 1)
    assert lr_scale(trapezoid, 80) == pytest.approx(0.5)
    cosine = OptimRecipe(schedule="cosine", steps=110, warmup=10, cooldown=0)
    assert lr_scale(cosine, 60) == pytest.approx(0.5)
    assert 0 < lr_scale(cosine, 109) < 0.01


@pytest.mark.parametrize(
    ("net", "more", "complaint"),
    [
        ({}, {"mask": {"share": 0.5, "samples": 0.5, "low": 0.1, "high": 0.5}}, "per_channel_mask"),
        ({"judge": True}, {"mask": {"impulses": 0.5}}, "impulses needs .* per_channel_mask"),
        ({"per_channel_mask": True}, {"mask": {"impulses": 0.5}}, "impulses needs .* judge"),
        ({}, {"second_noise": 0.5}, "second_noise is for a net with a judge"),
        ({"judge": True, "channels": 1}, {}, "judge is for 3 channels"),
        ({"noise_conditioned": True}, {"watch": {"pairs": ["val/cameras"]}}, "no known level"),
    ],
)
def test_parts_that_do_not_go_together(
    net: dict[str, object], more: dict[str, object], complaint: str
) -> None:
    table = {"name": "a", "arch": "unet", "net": net, "data": {"sources": ["photos"]}} | more
    table["noise"] = [{"kind": "gaussian", "low": 5, "high": 50}]
    with pytest.raises(UsageError, match=complaint):
        parse(table, "my.toml")
