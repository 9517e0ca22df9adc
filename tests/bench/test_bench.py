"""`bench`: what is measured, what is reused, what is skipped, what is refused."""

import csv
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdn import io, metrics
from mdn.bench import baselines, data, methods, noise_cases, scores, tables
from mdn.bench import benchmark as bench
from mdn.bench.scores import Cache, Row, Score
from mdn.errors import FileError, ModelError, UsageError
from mdn.image import Image
from mdn.metrics import PROTOCOLS, Metric
from tests.cli.cli_tools import Run
from tests.cli.conftest import run as run

SIDE = 32


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.total, self.done = 0, 0
        self.failures: list[str] = []
        self.notes: list[str] = []

    def begin(self, total: int, metric: Metric) -> None:
        self.total = total

    def scored(self, row: Row, done: int) -> None:
        assert self.done < done <= self.total
        self.done = done

    def failed(self, line: str) -> None:
        self.failures.append(line)

    def note(self, line: str) -> None:
        self.notes.append(line)


def write(path: Path, seed: int = 0, side: int = SIDE) -> Path:
    """A smooth picture of colours, 8 bits, differing by seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:side, :side]
    across = np.sin((x + seed) / 5)[..., None]
    waves = 0.5 + 0.3 * across * np.cos(y[..., None] / np.array([4, 5, 6]))
    io.write_image(Image(np.rint(waves * 255).astype(np.uint8)[None]), path)
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A folder of two clean pictures, and a file that is none."""
    for index in range(2):
        write(tmp_path / "clean" / f"{index}.png", index)
    (tmp_path / "clean" / "README.txt").write_text("about")
    return tmp_path / "clean"


def settings(folder: Path, **changes: object) -> bench.BenchRequest:
    base = bench.BenchRequest(
        ("unittest",), (str(folder),), "gaussian:25", device="cpu", precision="fp32"
    )
    return replace(base, **changes)


def by_name(result: bench.BenchResult) -> dict[tuple[str, str], Row]:
    return {(row.label, row.method): row for row in result.rows}


def mean(row: Row, metric: str = "psnr") -> float:
    stat = row.stat(metric)
    return stat.mean


def test_the_input_and_the_model_are_rows(clean: Path) -> None:
    listener = Listener()
    result = bench.run(settings(clean, noise="gaussian:25,poisson:3.5"), listener)
    labels = [(row.label, row.method, len(row.scores)) for row in result.rows]
    assert labels == [
        ("clean/gaussian25", "noisy", 2),
        ("clean/gaussian25", "unittest", 2),
        ("clean/poisson3.5", "noisy", 2),
        ("clean/poisson3.5", "unittest", 2),
    ]
    assert mean(result.rows[0]) == pytest.approx(20.2, abs=0.3)  # 20 log10(255 / 25) = 20.17
    assert mean(result.rows[1]) != mean(result.rows[0])
    assert result.rows[1].microseconds
    assert result.rows[0].microseconds is None
    assert result.exit_code == 0
    assert listener.done == listener.total == 8
    limited = bench.run(settings(clean, limit=1), Listener())
    assert [len(row.scores) for row in limited.rows] == [1, 1]


def test_a_model_fitted_to_each_picture_is_a_row_of_its_own(clean: Path) -> None:
    rows = by_name(bench.run(settings(clean, models=("zeroshot:unittest",)), Listener()))
    row = rows["clean/gaussian25", "zeroshot:unittest"]
    assert len(row.scores) == 2
    assert mean(row) > 10


def test_the_noise_is_that_of_mdn_noise(run: Run, tmp_path: Path) -> None:
    source = write(tmp_path / "clean" / "a.png")
    case, picture = noise_cases.NoiseCase("gaussian", 25), data.BenchImage("clean/a.png", source)
    truth = io.read_image(source).pixels[0]
    noisy, _ = noise_cases.add(truth, case, picture, 7, PROTOCOLS["paper"], False)
    words = ("--type", "gaussian", "--level", "25", "--seed", "7", "-o", "noisy.png")
    done = run("noise", "clean/a.png", *words)
    assert done.exit_code == 0, done.output
    assert np.array_equal(noisy, io.read_image(tmp_path / "noisy.png").pixels[0])


def test_a_camera_is_held_against_its_clean_twin(tmp_path: Path) -> None:
    source = write(tmp_path / "clean" / "a.png")
    truth = io.read_image(source).pixels[0]
    picture, how = data.BenchImage("clean/a.png", source), PROTOCOLS["paper"]
    weak, strong = (
        noise_cases.add(truth, noise_cases.NoiseCase("camera", iso), picture, 7, how, False)
        for iso in (100, 25600)
    )
    assert not np.array_equal(weak[1], truth)  # the camera's own softness and tone
    assert weak[1].dtype == weak[0].dtype == np.uint8
    errors = [np.square(noisy - twin.astype(float)).mean() for noisy, twin in (weak, strong)]
    assert errors[1] > errors[0]
    result = bench.run(settings(tmp_path / "clean", noise="camera:3200"), Listener())
    assert result.rows[0].label == "clean/camera3200"
    assert mean(result.rows[0]) > 15


def test_clipping_and_rounding_follow_the_protocol(tmp_path: Path) -> None:
    truth = np.full((64, 64, 3), 250, np.uint8)
    picture, case = data.BenchImage("a", tmp_path / "a.png"), noise_cases.NoiseCase("gaussian", 25)
    paper, floats, raw = (
        noise_cases.add(truth, case, picture, 0, PROTOCOLS[protocol], unclipped)[0]
        for protocol, unclipped in (("paper", False), ("float", False), ("paper", True))
    )
    assert (paper.dtype, floats.dtype, raw.dtype) == (np.uint8, np.float32, np.float32)
    assert floats.max() == 1
    assert raw.max() > 1.1
    assert raw.std() * 255 == pytest.approx(25, rel=0.05)
    assert np.array_equal(np.rint(raw.clip(0, 1) * 255).astype(np.uint8), paper)
    assert np.array_equal(raw.clip(0, 1), floats)


def test_pairs_bring_their_own_noise(tmp_path: Path) -> None:
    truth = write(tmp_path / "real" / "gt" / "a.png")
    (tmp_path / "real" / "noisy").mkdir()
    (tmp_path / "real" / "noisy" / "a.png").write_bytes(truth.read_bytes())
    listener = Listener()
    result = bench.run(settings(tmp_path / "real"), listener)
    assert [row.label for row in result.rows] == ["real/real"] * 2
    assert mean(result.rows[0]) == float("inf")
    assert result.document["rows"][0]["psnr"] is None  # JSON knows no infinity
    assert any("--noise does not apply" in line for line in listener.notes)


def test_what_cannot_be_measured_has_a_line(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    monkeypatch.setitem(sys.modules, "bm3d", None)
    listener = Listener()
    models, names = ("unittest", "peer:bm3d"), ("ms-ssim", "psnr", "lpips")
    result = bench.run(settings(clean, models=models, metrics=names), listener)
    lines = ["peer:bm3d: not installed: needs bm3d", "lpips: not measured: needs lpips"]
    for note, line in zip(listener.notes, lines, strict=False):
        assert note.startswith(line)
        assert note in result.markdown
    assert len([line for line in listener.notes if "too small for ms-ssim" in line]) == 2
    assert result.rows[0].stat("ms-ssim") is None
    assert [metric.name for metric in result.metrics] == ["ms-ssim", "psnr"]
    assert [row.method for row in result.rows] == ["noisy", "unittest"]
    assert result.document["not_measured"].keys() == {"peer:bm3d"}
    assert result.exit_code == 4  # a method that the command names is not there
    with pytest.raises(UsageError, match="--metrics: lpips: not measured"):
        bench.run(settings(clean, metrics=("lpips",)), Listener())


def test_results_say_how_to_repeat_them(clean: Path, tmp_path: Path) -> None:
    command, out = "mdn bench --data clean", tmp_path / "out"
    result = bench.run(settings(clean, out=out, command=command), Listener())
    document = json.loads((out / "results.json").read_text())
    page = (out / "results.md").read_text()
    table, pictures = (
        list(csv.DictReader((out / name).read_text().splitlines()))
        for name in ("results.csv", "pictures.csv")
    )
    single = [row for row in pictures if row["method"] == "unittest"]
    assert [row["picture"] for row in single] == ["clean/0.png", "clean/1.png"]
    assert sum(float(row["psnr"]) for row in single) / 2 == pytest.approx(mean(result.rows[1]))
    assert (document, document["command"]) == (json.loads(json.dumps(result.document)), command)
    assert document["versions"]["torch"] == torch.__version__
    sha = document["methods"][1]["sha256"]
    assert len(sha) == 64
    assert command in page
    assert sha[:16] in page
    assert f"| gaussian25 | unittest | 2 | {mean(result.rows[1]):.2f} ± " in page
    assert float(table[1]["psnr"]) == pytest.approx(mean(result.rows[1]), abs=1e-5)


def test_scores_are_reused_where_nothing_has_changed(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reused(**changes: object) -> list[int]:
        request = settings(clean, **({"out": tmp_path / "out"} | changes))
        return [row.reused for row in bench.run(request, Listener()).rows]

    first, again = (
        bench.run(settings(clean, out=tmp_path / "out"), Listener()).rows for _ in range(2)
    )
    assert [row.reused for row in again] == [2, 2]
    assert [row.scores for row in again] == [row.scores for row in first]
    assert (reused(metrics=("psnr",)), reused(metrics=("psnr", "gmsd"))) == ([2, 2], [0, 0])
    assert (reused(seed=1), reused(protocol="float")) == ([0, 0], [0, 0])
    assert (reused(unclipped=True), reused(noise="gaussian:26")) == ([0, 0], [0, 0])
    assert reused(precision="bf16") == [2, 0]
    write(clean / "0.png", seed=5)
    assert reused() == [1, 1]
    monkeypatch.setattr(noise_cases.noise, "add", lambda x, *_: x)  # the noise's own code
    assert reused() == [0, 0]


def test_a_torn_line_is_no_score(tmp_path: Path) -> None:
    score = Score({"psnr": 30.0}, 1.0, 100, 5)
    Cache(tmp_path).add("a", score)
    with (tmp_path / "scores.jsonl").open("a") as stream:
        stream.write('{"key": "b", "metr')
    cache = Cache(tmp_path)
    cache.add("c", score)
    after = Cache(tmp_path)
    assert after.find("a", ("psnr",)) == after.find("c", ("psnr",)) == score
    assert after.find("b", ("psnr",)) is None
    assert after.find("a", ("psnr", "ssim")) is None


def row(who: str, kind: str, **figures: float | None) -> Row:
    values = {
        f"set/{picture}": Score({"psnr": value, "gmsd": value}, 1.0, 100, 0)
        for picture, value in figures.items()
    }
    return Row("set", "gaussian25", who, kind, values)


ROWS = [
    row("noisy", "input", a=30.0, b=30.0, c=math.inf, d=None),
    row("net", "model", a=33.0, b=29.0, c=50.0, d=None),
    row("exact", "model", a=30.0, b=29.99, c=math.inf, d=31.0),
]


def test_the_largest_loss_comes_first_and_rounding_is_none() -> None:
    psnr = metrics.get("psnr")
    losses = scores.losses_of(ROWS, psnr)
    names = [(loss.picture, loss.method) for loss in losses]
    assert names[:2] == [("set/c", "net"), ("set/b", "net")]
    assert (losses[0].gain, losses[-1].gain) == (50 - scores.CEILING, 3)
    assert len(losses) == 6  # d has no figure before
    lines = scores.loss_counts(losses, psnr)
    assert lines[0].startswith("net: 2 of 3 pictures came out worse")
    assert lines[1].startswith("exact: 0 of 3 pictures")
    assert tables.loss_cells(losses[0], psnr)[3:] == ["equal", "50.00", "-10.00"]
    assert json.loads(json.dumps(tables.loss_table(losses)))[0]["before"] is None
    worst = scores.losses_of(ROWS, metrics.get("gmsd"))[0]  # lower is better
    assert (worst.picture, worst.gain) == ("set/a", pytest.approx(-3))


def test_losses_are_listed_on_request_only(clean: Path) -> None:
    result = bench.run(settings(clean, worst=True), Listener())
    assert [loss.method for loss in result.worst] == ["unittest"] * 2
    assert "## Pictures that lose most, PSNR dB" in result.markdown
    assert result.document["worst"][0]["picture"] == result.worst[0].picture
    plain = bench.run(settings(clean), Listener())
    assert "worst" not in plain.document
    assert "lose most" not in plain.markdown


def test_bad_pictures_are_skipped_and_counted(clean: Path) -> None:
    (clean / "2.png").write_bytes(b"no picture")
    listener = Listener()
    result = bench.run(settings(clean, noise="gaussian"), listener)
    assert [len(row.scores) for row in result.rows] == [2] * 6
    assert len(listener.failures) == 1  # told of once, not under every noise
    assert listener.failures[0].startswith("clean/2.png: is not a picture")
    assert result.failures[0] in result.markdown
    assert result.exit_code == 3


def test_bad_pairs_are_named(tmp_path: Path) -> None:
    root = tmp_path / "real"
    for name in ("noisy/good.png", "gt/good.png", "gt/sizes.png", "noisy/alone.png"):
        write(root / name)
    for name in ("gt/lonely.png", "noisy/good.tif"):
        write(root / name)
    write(root / "noisy" / "sizes.png", side=SIDE + 1)
    result = bench.run(settings(root), Listener())
    assert [len(row.scores) for row in result.rows] == [1, 1]
    assert [line.split(":")[0] for line in result.failures] == [
        "real/noisy/good.tif",
        "real/noisy/alone.png",
        "real/gt/lonely.png",
        "real/sizes.png",
    ]
    assert "another file of that name" in result.failures[0]
    assert "noisy is 33x33x3, gt is 32x32x3" in result.failures[3]
    assert result.exit_code == 3
    (root / "gt" / "good.png").unlink()
    (root / "gt" / "sizes.png").unlink()
    assert bench.run(settings(root), Listener()).exit_code == 4  # nothing is left to measure


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise": "gausian:25"}, "unknown noise type 'gausian'; try gaussian"),
        ({"noise": "gaussian:much"}, "the level is no number; try gaussian:25"),
        ({"noise": "gaussian:-3"}, "outside"),
        ({"metrics": ("psrn",)}, "unknown metric 'psrn'; try psnr"),
        ({"protocol": "papr"}, "unknown protocol 'papr'"),
        ({"models": ("peer:bm4d",)}, "no peer 'bm4d'; try peer:bm3d"),
        ({"models": ("unittest", "")}, "--model has an empty name"),
        ({"models": ("unitest",)}, "did you mean unittest"),
        ({"models": ("zeroshot:nosuch",)}, "nosuch"),
        ({"models": ("zeroshot:unittest:slow",)}, "--preset slow"),
        ({"data": ("clena",)}, "no folder clena.*did you mean clean"),
        ({"data": ("../x/clena",)}, "no folder"),
        ({"data": ("zzz",)}, "no folder zzz, nor one in .*; did you mean clean"),
        ({"data": ("clean", "clean/../clean")}, "two folders of data are called clean"),
        ({"data": ("clean/0.png",)}, "is a file; name a folder"),
        ({"metrics": ("gmsd",), "fail_below": 0.1}, "less gmsd is better"),
        ({"out": Path("clean/0.png")}, "cannot be used"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    clean: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(clean.parent)
    listener = Listener()
    with pytest.raises((UsageError, ModelError, FileError), match=message):
        bench.run(settings(clean, root=clean.parent, **changes), listener)
    assert listener.done == 0


@pytest.mark.parametrize("part", ["", "test"])
def test_short_names_come_from_the_root_or_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    (tmp_path / "test" / "photos").mkdir(parents=True)
    io.write_image(Image(np.zeros((1, 8, 8, 3), np.uint8)), tmp_path / "test" / "photos" / "a.png")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv(data.ROOT_VARIABLE, str(tmp_path / part))
    (found,) = data.open_sets(["photos"], data.default_root(), None)
    assert [picture.name for picture in found.pictures] == ["photos/a.png"]
    with pytest.raises(UsageError, match=r"no folder phots, nor one in .*did you mean photos"):
        data.open_sets(["phots"], data.default_root(), None)
    monkeypatch.delenv(data.ROOT_VARIABLE)
    with pytest.raises(UsageError, match=r"need --root.*--data skimage needs neither"):
        data.open_sets(["no-such-set"], data.default_root(), None)


def test_the_set_that_anybody_has() -> None:
    """Photographs out of the wheel of scikit-image, always the same."""
    pytest.importorskip("skimage")
    (found,) = data.open_sets(["skimage"], None, None)
    assert (found.name, len(found.pictures), found.pairs) == ("skimage", 9, False)
    assert all(data.read(picture).truth.dtype == np.uint8 for picture in found.pictures)
    (part,) = data.open_sets(["skimage"], None, 2)
    assert part.pictures == found.pictures[:2]


def installed(name: str) -> methods.Method:
    """The baseline, or a skip where its packages are not here."""
    if absent := baselines.BASELINES[name].missing:
        pytest.skip(absent)
    return methods.resolve((f"peer:{name}",), "cpu", "fp32", 0).available[1]


@pytest.mark.parametrize("name", ["nlm", "tv", "wavelet", "opencv-nlm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_baselines_remove_noise(name: str, channels: int) -> None:
    baseline = installed(name)
    truth = np.full((48, 40, channels), 0.5, np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape).astype(np.float32)
    result = baseline.denoise(noisy, 0.1, "flat")
    assert (result.shape, result.dtype) == (noisy.shape, np.float32)
    assert (result - truth).std() < 0.6 * (noisy - truth).std()
    eight = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
    assert baseline.denoise(eight, 0.1, "flat").dtype == np.uint8


def test_a_failing_baseline_leaves_the_picture_to_the_others(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(x: np.ndarray, sigma: float) -> np.ndarray:
        assert sigma == pytest.approx(25 / 255)
        raise ValueError("too odd")

    broken = baselines.Baseline("fails", {}, "", fail)
    monkeypatch.setitem(baselines.BASELINES, "broken", broken)
    result = bench.run(settings(clean, models=("peer:broken", "unittest")), Listener())
    assert [len(row.scores) for row in result.rows] == [2, 0, 2]
    assert result.failures[0] == "clean/0.png: peer:broken failed on it (too odd)"
    assert result.exit_code == 3
