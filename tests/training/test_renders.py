"""Renders to train on: what is shown, what it is compared with, and a run from end to end."""

from pathlib import Path

import numpy as np
import pytest
import tomli_w
import torch
from safetensors.torch import load_file, save_file

from benchmarks.scenes import rendering as files
from mdn.bench.renders import read
from mdn.commands.train import TrainRequest, run
from mdn.errors import UsageError
from mdn.nets.unet import UNet, UNetConfig
from mdn.registry import store
from mdn.training import renders
from mdn.training.loss import shown_loss
from mdn.training.recipe_parse import parse
from mdn.training.renders import Scene, load_scenes
from tests.training.test_loop import Listener

SIDE = 24
TABLE = {
    "name": "x",
    "arch": "unet",
    "net": {"widths": [4, 8], "blocks": [1, 1], "guides": 6},
    "data": {"sources": ["train"], "crop": 16, "hold_out": 0},
    "noise": [{"kind": "samples", "low": 4.0, "high": 20.0}],
    "optim": {"batch": 4, "groups": 2},
    "watch": {"sources": ["valid"], "rows": [["samples", 4]], "crop": 16},
}
BLIND = {
    "data": {"sources": ["photos"]},
    "noise": [{"kind": "gaussian", "low": 5, "high": 50}],
    "watch": {"rows": [["gaussian", 25]], "sources": []},
}
RECIPE = TABLE | {
    "name": "tiny",
    "init_weights": "blind.safetensors",
    "optim": {"lr": 0.01, "steps": 4, "warmup": 1, "cooldown": 2, "batch": 4, "groups": 2},
    "watch": TABLE["watch"] | {"every": 2, "rows": [["samples", 4], ["samples", 16]]},
}


def scene(seed: int = 0, spp: tuple[int, ...] = (4, 16, 96)) -> Scene:
    """Flat light under gamma noise; the guides are noiseless."""
    random = np.random.default_rng(seed)
    planes = np.ones((len(spp), 9, SIDE, SIDE), np.float32) * 0.18
    for at, count in enumerate(spp):
        planes[at, :3] *= random.gamma(count, 1 / count, (1, SIDE, SIDE))
    planes[:, 3:6], planes[:, 6:] = 0.5, np.array([0, 0, 1])[:, None, None]
    return Scene(spp, torch.from_numpy(planes))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two folders with a scene each, as the generator writes them."""
    for folder, seed in (("train", 0), ("valid", 1)):
        (tmp_path / folder).mkdir()
        for at, spp in enumerate((4, 16, 96)):
            light, albedo, normal = scene(seed).planes[at].numpy().reshape(3, 3, SIDE, SIDE)
            parts = (each.transpose(1, 2, 0) for each in (3 * light, albedo, normal))
            name = "reference" if spp == 96 else str(spp)
            about = {"samplesPerPixel": spp}
            files.write(tmp_path / folder / f"s_{name}.exr", files.Render(*parts), about)
    return tmp_path


def test_scenes_are_read_and_exposed(data: Path) -> None:
    (name, found), *_ = load_scenes(("train",), data).items()
    assert (name, found.spp) == ("train/s", (4, 16, 96))
    assert float(found.planes[-1, :3].log().mean().exp()) == pytest.approx(0.18, rel=0.01)
    torch.testing.assert_close(found.planes, scene(0).planes, rtol=0.02, atol=1e-3)


def test_a_folder_without_pairs_is_refused(data: Path) -> None:
    (data / "train" / "s_4.exr").unlink()
    (data / "train" / "s_16.exr").unlink()
    with pytest.raises(UsageError, match="no renders of one scene"):
        load_scenes(("train",), data)


def test_what_is_shown_and_what_it_is_compared_with_share_no_sample() -> None:
    one = scene()
    assert (one.shown(), one.others((0,))) == ([(4, (0,)), (16, (1,)), (20, (0, 1))], (1, 2))
    torch.testing.assert_close(
        one.mean((0, 1)), (4 * one.planes[0] + 16 * one.planes[1]) / 20, rtol=1e-5, atol=1e-6
    )


def test_what_was_added_to_the_files_is_read(data: Path) -> None:
    for name in ("4", "16", "reference"):
        layers = {"prefiltered.albedo.": 0.4, "prefiltered.normal.": -1.0}
        layers |= {"teacher.": 0.9} if name == "reference" else {}
        add(data / "train" / f"s_{name}.exr", layers)
    (found,) = load_scenes(("train",), data).values()
    assert found.prefiltered[:, :, 0, 0].tolist() == [pytest.approx([0.4] * 3 + [-1] * 3, 1e-3)] * 3
    exposed = float(found.planes[-1, :3].mean() / (3 * scene(0).planes[-1, :3].mean()))
    assert float(found.teacher.mean()) == pytest.approx(0.9 * exposed, rel=0.01)


def add(path: Path, layers: dict[str, float]) -> None:
    """Constant layers to a render, by what their names begin with."""
    render = read(path, path.name)
    spp = {"s_4": 4, "s_16": 16}.get(path.stem, 96)
    more = {
        name: ("XYZ" if "normal" in name else "RGB", np.full_like(render.beauty, value))
        for name, value in layers.items()
    }
    files.write(path, render, {"samplesPerPixel": spp}, more)


def test_a_lesson_has_the_teachers_light_and_the_wanted_guides() -> None:
    one = scene()
    guides, light = torch.full((3, 6, SIDE, SIDE), 0.25), torch.full((3, SIDE, SIDE), 7.0)
    taught = Scene(one.spp, one.planes, guides, light)
    shown, aimed = taught.lesson((0,), 0.75, prefiltered=True)
    torch.testing.assert_close(shown, torch.cat([one.planes[0, :3], guides[0]]))
    torch.testing.assert_close(aimed[:3], 0.75 * light + 0.25 * one.mean((1, 2))[:3])
    plain = taught.lesson((0,), 0.0, prefiltered=False)
    torch.testing.assert_close(plain, torch.stack([one.planes[0], one.mean((1, 2))]))
    torch.testing.assert_close(one.lesson((0,), 0.75, prefiltered=True), plain)


def test_the_loss_of_renders_is_that_of_a_display() -> None:
    wanted = renders.encode(torch.tensor([0.01, 0.18, 0.9]))[None, :, None, None].expand(2, 3, 8, 8)

    def loss(factor: float) -> float:
        light = renders.decode(wanted) * factor
        return float(shown_loss(renders.encode(light), wanted))

    assert loss(1.0) < loss(1.02) < loss(1.1)
    assert loss(0.98) < loss(0.9)
    lamps = renders.encode(torch.full((1, 3, 8, 8), 50.0))  # white to a display, dim or not
    dim = renders.encode(torch.full((1, 3, 8, 8), 20.0))
    assert float(shown_loss(dim, lamps)) > float(shown_loss(lamps, lamps)) + 0.1


def test_light_and_normals_are_turned_as_light_and_normals() -> None:
    pair = torch.rand(2, 9, 8, 8)
    pair[:, 6:] = torch.nn.functional.normalize(torch.randn(2, 3, 8, 8), dim=1)
    turned = renders._in_other_light(pair, 1.0, torch.Generator().manual_seed(1))
    order = [int((turned[0, 3 + at, 0, 0] == pair[0, 3:6, 0, 0]).nonzero()) for at in range(3)]
    torch.testing.assert_close(turned[:, :3], pair[:, order] * renders.EXPOSURE**0.5)
    assert not torch.allclose(turned[:, 6:], pair[:, 6:])
    for one, other in ((0, 0), (0, 1)):  # lengths and angles stay
        before = (pair[one, 6:] * pair[other, 6:].flip(1)).sum(0)
        after = (turned[one, 6:] * turned[other, 6:].flip(1)).sum(0)
        torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"noise": [*TABLE["noise"], {"kind": "gaussian", "low": 1, "high": 2}]}, "all be of kind"),
        ({"watch": {"rows": [["gaussian", 25]]}}, "all be of kind"),
        ({"mask": {"share": 0.5}}, "masks"),
        ({"net": {"guides": 0}}, "guides = 6"),
        ({"noise": [{"kind": "samples", "low": 0.0, "high": 4.0}]}, "at least 1"),
        ({"data": TABLE["data"] | {"teacher": 1.5}}, "teacher must be at most 1"),
        (BLIND | {"loss": "shown"}, "loss = 'shown' is for renders"),
        (BLIND | {"data": BLIND["data"] | {"teacher": 0.5}}, "teacher is for renders"),
    ],
)
def test_recipes_that_make_no_sense(change: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse(TABLE | change)


def test_a_run_from_a_net_without_guides(data: Path, tmp_path: Path) -> None:
    blind = UNet(UNetConfig(widths=(4, 8), blocks=(1, 1)))
    save_file(blind.state_dict(), tmp_path / "blind.safetensors")
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(RECIPE))
    report, out = Listener(), tmp_path / "run"
    settings = TrainRequest(str(tmp_path / "recipe.toml"), data, out, device="cpu", stop_after=2)
    assert not run(settings, report).finished
    assert run(settings, report).finished
    assert report.notes[1] == "1 scenes to train on, 1 to validate on"
    assert {"samples-4", "samples-16"} <= report.rows[-1].keys()
    card = store.find(str(out))
    assert (card.domain, card.noise_seen) == ("hdr", ("path tracing, 4-20 spp",))
    assert load_file(out / "weights.safetensors")["head.weight"].shape == (4, 40, 3, 3)
