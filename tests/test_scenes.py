"""Renders made on the spot: scenes by seed, what is kept, what is refused."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.scenes import __main__ as command
from benchmarks.scenes import rendering, shapes
from mdn import metrics
from mdn.bench import renders
from mdn.errors import UsageError

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


def test_more_samples_are_nearer_and_draws_differ(rendered: Path) -> None:
    two, eight, truth = (
        renders.read(rendered / f"scene0000000_{n}.exr", "").beauty for n in (2, 8, "reference")
    )
    how = metrics.PROTOCOLS["float"]
    errors = [metrics.score(x, truth, ("smape",), how, linear=True)["smape"] for x in (two, eight)]
    assert errors[0] is not None
    assert errors[1] is not None
    assert errors[1] < 0.8 * errors[0]
    luma = truth.mean(-1).clip(1e-3, 10)
    assert np.exp(np.log(luma).mean()) == pytest.approx(rendering.GRAY, rel=0.1)


def test_what_is_there_is_kept(rendered: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    torn = rendered / "scene0000000_2.exr"
    before = torn.read_bytes()
    assert (len(rendering.run(replace(TINY, out=rendered), lines.append)), lines) == (3, [])
    torn.unlink()
    rendering.run(replace(TINY, out=rendered), lines.append)
    assert (lines, torn.read_bytes()) == (["rendering scene 1 of 1"], before)


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


@pytest.mark.parametrize("maker", [*shapes.MESHES, shapes.leaves])
def test_meshes_are_whole(maker: Callable[[np.random.Generator], shapes.Mesh]) -> None:
    vertices, faces = maker(np.random.default_rng(0))
    assert np.isfinite(vertices).all()
    assert set(np.unique(faces)) == set(range(len(vertices)))
