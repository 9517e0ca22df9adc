"""The scripts of benchmarks/ find what they import, and say what folder they want: nothing else
runs them all. Some are run: analysis, model_speed, scenes, teachers.
"""

import ast
import importlib
import json
import re
import runpy
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks import folders, teachers
from benchmarks import model_speed as speed
from benchmarks.analysis import __main__ as analysis
from benchmarks.analysis.similarity import Alignment, gram
from benchmarks.scenes import __main__ as command
from benchmarks.scenes import rendering
from mdn.bench import renders
from mdn.bench.renders import Render, read
from mdn.errors import UsageError
from mdn.training.renders import load_scenes
from tests.cli.test_survey import picture

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_can_be_imported(path: Path) -> None:
    importlib.import_module(f"benchmarks.{path.stem}")


ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for f in ("mdn", "benchmarks", "completions") for p in (ROOT / f).rglob("*.py"))


def test_what_functions_import_is_there() -> None:
    """Imports within functions, which fail only when these are called."""
    own = ("mdn", "benchmarks")
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] not in own:
                continue
            module = importlib.import_module(str(node.module))
            for name in node.names:
                assert hasattr(module, name.name) or find_spec(f"{node.module}.{name.name}"), (
                    f"{path}:{node.lineno}: {node.module} has no {name.name}"
                )


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


SIDE = 48


def test_guides_without_noise_and_a_teachers_light(tmp_path: Path) -> None:
    pytest.importorskip("pyoidn")
    random = np.random.default_rng(0)
    flat = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    files, out = tmp_path / "files", tmp_path / "data" / "train"
    files.mkdir()
    for name, spp in (("4", 4), ("reference", 64)):
        light = (flat * random.gamma(spp, 1 / spp, flat.shape)).astype(np.float32)
        albedo = (flat + random.normal(0, 0.1, flat.shape)).astype(np.float32)
        if spp == 4:
            light[20, 20] = 1000
        render = Render(light, albedo, np.zeros_like(flat) + np.float32([0, 0, 1]))
        rendering.write(files / f"s_{name}.exr", render, {"samplesPerPixel": spp})
    teachers.main(files, out)
    (scene,) = load_scenes(("train",), tmp_path / "data").values()
    assert scene.spp == (4, 64)
    light, guides = scene.planes[:, :3], scene.planes[:, 3:6]
    assert float(light.max()) < 10  # the firefly is taken out, as in use
    assert float(scene.teacher.std()) < 0.3 * float(light[-1].std())
    assert float(scene.teacher.mean() / light[-1].mean()) == pytest.approx(1, abs=0.02)
    assert float(scene.prefiltered[:, :3].std()) < 0.3 * float(guides.std())
    before = read(out / "s_4.exr", "s").beauty
    teachers.main(files, out)  # what is there already stays
    np.testing.assert_array_equal(read(out / "s_4.exr", "s").beauty, before)


CPU = torch.device("cpu")


def test_a_table_of_models(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "MATRIX", 64)
    monkeypatch.setattr(speed, "COPIED", 2**10)
    words = ["-m", "unittest", "--side", "64", "--count", "2", "--precision", "fp32"]
    speed.main([*words, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["machine"]["precision"] == "fp32"
    (model,) = result["models"]
    assert model["model"] == "unittest"
    assert min(model["flop"] - 100, model["net"], model["rest"]) > 0
    speed.main(words)
    lines = capsys.readouterr().out.splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| model", "| ---", "| unittest"]
    with pytest.raises(SystemExit, match="6"):
        speed.main(["-m", "nowhere"])


@pytest.mark.parametrize("name", ["unittest", "photo-fast", "generalist-s15", "swinir-masked-s15"])
def test_every_kind_of_net_can_be_counted(name: str) -> None:
    """Calls as the pipeline makes them; counting needs no arithmetic."""
    from mdn.pipeline.in_memory import restore_page
    from mdn.pipeline.models import Models

    model = Models(name, device="cpu").load()
    page = torch.randint(0, 255, (48, 48, 3), dtype=torch.uint8).numpy()
    clock = speed.NetClock(CPU)
    with clock.running():
        restore_page(page, model, speed.Options(precision="fp32", tile=64))
    assert clock.pixels >= 48 * 48
    assert clock.seconds > 0
    flop, touched = speed.work(*clock.call, 4)
    parameters = sum(each.numel() for each in clock.call[0].parameters())
    assert flop > parameters / 100
    assert touched > 2 * 3 * 4


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_cka_ignores_rotation_scale_and_shift() -> None:
    x = random(40, 10)
    turn = torch.linalg.qr(random(10, 10, seed=1)).Q
    aligned = Alignment()
    for rows in (slice(0, 20), slice(20, 40)):
        aligned.add({"x": gram(x[rows]), "turned": gram(3 * (x @ turn)[rows] + 5)})
    assert aligned.between("x", "turned") == pytest.approx(1, abs=1e-5)
    assert aligned.between("turned", "x") == aligned.between("x", "turned")
    assert aligned.between("x", "x") == pytest.approx(1)


def settings(folder: Path, **changes: object) -> analysis.AnalysisRequest:
    facts = {
        "models": ("unittest",),
        "data": str(folder / "clean"),
        "noise": "gaussian:10,gaussian:50",
        "out": folder / "out",
        "patches": 5,
        "side": 32,
        "device": "cpu",
    }
    return analysis.AnalysisRequest(**(facts | changes))


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    (tmp_path / "clean").mkdir()
    picture(tmp_path / "clean" / "a.png", 3)
    picture(tmp_path / "clean" / "b.png", 3, gain=0.01)
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"noise": "gaussian:10"}, "at least two"),
        ({"patches": 3}, "at least 4"),
        ({"side": 30}, "multiples of 4"),
        ({"side": 256}, "too few"),
    ],
)
def test_requests_that_cannot_be_met(clean: Path, changes: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        analysis.run(settings(clean, **changes))
    assert not (clean / "out").exists()


TINY = rendering.Settings(Path(), count=1, width=24, height=16, spp=(2, 8), reference=64)


def silent(line: str) -> None:
    """Nobody listens."""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny scene."""
    pytest.importorskip("mitsuba")
    folder = tmp_path_factory.mktemp("rendered")
    rendering.run(replace(TINY, out=folder), silent)
    return folder


def test_files_are_pairs_with_guides(rendered: Path) -> None:
    found, alone = renders.find_pairs(rendered.iterdir())
    assert [(pair.spp, pair.reference.name) for pair in found] == [
        (2, "scene0000000_reference.exr"),
        (8, "scene0000000_reference.exr"),
    ]
    assert alone == []
    shot = renders.read(found[0].noisy, "")
    assert shot.beauty.shape == (16, 24, 3)
    assert shot.normal is not None
    assert 0 <= shot.albedo.min() < shot.albedo.max() <= 1.01
    lengths = np.linalg.norm(shot.normal, axis=-1)
    assert np.median(lengths) > 0.5


def test_without_mitsuba_there_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(UsageError, match=r"needs mitsuba; pip install 'mdn\[renders\]'"):
        rendering.run(replace(TINY, out=tmp_path), silent)


def test_the_command_renders_pairs(tmp_path: Path) -> None:
    pytest.importorskip("mitsuba")
    import typer

    app = typer.Typer()
    app.command()(command.main)
    run = CliRunner().invoke
    few = ["--count", "1", "--size", "16", "--spp", "2,4", "--reference", "8"]
    result = run(app, ["--out", str(tmp_path / "set"), *few])
    assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "set").iterdir())) == 3
    for arguments, line in (
        ((*few, "--variant", "none"), "has no variant 'none'"),
        ((*few[:-1], "4"), "the reference needs more samples"),
        ((*few, "--spp", "a"), "write numbers"),
    ):
        result = run(app, ["--out", str(tmp_path / "other"), *arguments])
        assert result.exit_code == 2
        assert line in result.output
