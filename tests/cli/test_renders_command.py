"""Renders from the command line: roles told, mixed folders, sequences, standard streams."""

import json
from pathlib import Path

import pytest

from mdn.io import exr
from tests.cli.cli_tools import MODEL, Make, Run, process
from tests.renders import scenes


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return scenes.scene(tmp_path / "render.exr")


def test_explain_tells_the_role_of_each_layer(run: Run, scene: Path) -> None:
    result = run("denoise", "render.exr", "--explain", *MODEL)
    assert result.exit_code == 0, result.output
    assert "rgb              beauty       denoised, but alpha  (R G B A)" in result.output
    assert "crypto_object00  cryptomatte  bit for bit" in result.output
    assert "albedo           albedo       bit for bit, guides" in result.output
    assert Path("render_denoised.exr").is_file()
    assert "cryptomatte" not in run("denoise", "render.exr", "-o", "b.exr", *MODEL).output


def test_a_model_for_renders_takes_no_sigma(run: Run, scene: Path) -> None:
    result = run("denoise", "render.exr", "--sigma", "20")
    assert result.exit_code == 2, result.output
    assert "--sigma: render takes no noise strength" in " ".join(result.output.split())
    assert not Path("render_denoised.exr").exists()


def test_json_has_layers_and_counts(run: Run, scene: Path) -> None:
    result = run("denoise", "render.exr", "--keep-sums", "--json", *MODEL)
    (file,) = json.loads(result.stdout)["files"]
    assert {row["role"] for row in file["layers"]} >= {"beauty", "light", "id", "depth"}
    assert (file["sums"], file["odd_samples"]) == ([["RGBA_fill", "RGBA_key"]], {})


def written(folder: str) -> list[str]:
    """Names of the pictures in a folder, beside which the manifest of the run lies."""
    return sorted(path.name for path in Path(folder).iterdir() if path.suffix != ".jsonl")


def test_a_folder_of_pictures_and_renders(run: Run, scene: Path, make: Make) -> None:
    make("photo.png")
    Path("broken.exr").write_bytes(scene.read_bytes()[:900])
    result = run("denoise", ".", "-o", "clean/", *MODEL)
    assert (result.exit_code, written("clean")) == (3, ["photo.png", "render.exr"])
    assert "broken.exr" in result.output


def test_other_commands_leave_renders_alone(run: Run, scene: Path, make: Make) -> None:
    make("photo.png")
    result = run("noise", ".", "-o", "noisy/", "--type", "gaussian")
    assert result.exit_code == 0, result.output
    assert "only mdn denoise reads" in run("noise", "render.exr", "--type", "gaussian").output
    assert "use mdn denoise" in run("zeroshot", "render.exr", "-o", "a.exr").output


def test_a_shot(run: Run) -> None:
    for number in (1, 2):
        scenes.scene(Path(f"f.{number:04d}.exr"), seed=number, motion=0.0)
    sequence = ("denoise", "f.####.exr", "--frames", "1-2", "-o", "out/c.####.exr")
    result = run(*sequence, "--motion", *MODEL)
    assert result.exit_code == 0, result.output
    assert written("out") == ["c.0001.exr", "c.0002.exr"]
    result = run("denoise", "f.####.exr", "--frames", "1-3", "--skip-existing", *MODEL)
    assert result.exit_code == 3
    assert "no such file" in result.output


def test_wrong_requests(run: Run, scene: Path) -> None:
    for options, told in [
        (("--frames", "1-2"), "pattern"),
        (("--motion",), "sequence of frames"),
        (("--layer", "nope"), "has no layer nope"),
        (("--clamp-fireflies", "0.5"), "choose 1 or more"),
    ]:
        result = run("denoise", "render.exr", *options, *MODEL)
        assert result.exit_code != 0
        assert told in result.output
        assert not Path("render_denoised.exr").exists()


def test_through_a_pipe(scene: Path, tmp_path: Path) -> None:
    done = process(
        "denoise", "-", "--strength", "0", *MODEL, cwd=tmp_path, input=scene.read_bytes()
    )
    assert done.returncode == 0, done.stderr
    first, second = exr.read(scene), exr.read(done.stdout)
    assert all(first.parts[0][k].tobytes() == v.tobytes() for k, v in second.parts[0].items())
