"""`bench`: what is measured, what is reused, what is skipped, what is refused."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mdn import io
from mdn.bench import baselines, data, noise_cases
from mdn.bench import benchmark as bench
from mdn.bench.cache import Cache, Score
from mdn.bench.rows import Row
from mdn.commands import noise
from mdn.errors import FileError, ModelError, UsageError
from mdn.image import Image
from mdn.jobs.job import Job
from mdn.metrics import PROTOCOLS, Metric

SIDE = 32


class Listener:
    """A report that remembers."""

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


def write(path: Path, seed: int = 0, side: int = SIDE, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:side, :side]
    waves = (
        0.5
        + 0.3
        * np.sin((x + seed) / 5)[..., None]
        * np.cos(y / np.array([[[4, 5, 6]]]).T)[0][..., None]
    )
    pixels = np.repeat(waves, 3, -1)[None]
    top = np.iinfo(dtype).max
    io.write_image(Image(np.rint(pixels * top).astype(dtype)), path)
    return path


@pytest.fixture
def clean(tmp_path: Path) -> Path:
    """A folder of two clean pictures, and a file that is none."""
    for index in range(2):
        write(tmp_path / "clean" / f"{index}.png", index)
    (tmp_path / "clean" / "README.txt").write_text("about")
    return tmp_path / "clean"


def settings(folder: Path, **changes: object) -> bench.Settings:
    base = bench.Settings(
        ("unittest",), (str(folder),), "gaussian:25", device="cpu", precision="fp32"
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def by_name(result: bench.Result) -> dict[tuple[str, str], Row]:
    return {(row.label, row.method): row for row in result.rows}


def mean(row: Row, metric: str = "psnr") -> float:
    stat = row.stat(metric)
    assert stat is not None
    return stat.mean


# --- what is measured ---------------------------------------------------------------------------


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


def test_a_model_fitted_to_each_picture_is_a_row_of_its_own(clean: Path) -> None:
    names = ("unittest", "zeroshot:unittest")
    rows = by_name(bench.run(settings(clean, models=names), Listener()))
    row = rows["clean/gaussian25", "zeroshot:unittest"]
    assert len(row.scores) == 2
    assert mean(row) > 10
    plain = rows["clean/gaussian25", "unittest"]
    assert row.microseconds
    assert plain.microseconds


@pytest.mark.parametrize(
    ("name", "says"),
    [("zeroshot:nosuch", "nosuch"), ("zeroshot:unittest:slow", "--preset slow")],
)
def test_a_fit_that_cannot_be_is_refused_at_once(clean: Path, name: str, says: str) -> None:
    with pytest.raises((ModelError, UsageError), match=says):
        bench.run(settings(clean, models=(name,)), Listener())


def test_the_noise_is_that_of_mdn_noise(tmp_path: Path) -> None:
    source = write(tmp_path / "clean" / "a.png")
    truth = io.read_image(source).pixels[0]
    how = PROTOCOLS["paper"]
    picture = data.Picture("clean/a.png", source)
    drawn, _ = noise_cases.add(truth, noise_cases.NoiseCase("gaussian", 25), picture, 7, how, False)
    job = Job(source, tmp_path / "noisy.png", "a.png")
    noise.run(
        [job],
        noise.NoiseRequest("gaussian", 25, seed=7),
        SimpleNamespace(
            **{name: lambda *_: None for name in ("started", "progress", "note", "finished")}
        ),
    )
    assert np.array_equal(drawn, io.read_image(tmp_path / "noisy.png").pixels[0])


def test_a_camera_is_held_against_its_clean_twin(tmp_path: Path) -> None:
    source = write(tmp_path / "clean" / "a.png")
    truth = io.read_image(source).pixels[0]
    picture, how = data.Picture("clean/a.png", source), PROTOCOLS["paper"]
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
    picture = data.Picture("a", tmp_path / "a.png")

    def drawn(protocol: str, unclipped: bool = False) -> np.ndarray:
        case = noise_cases.NoiseCase("gaussian", 25)
        return noise_cases.add(truth, case, picture, 0, PROTOCOLS[protocol], unclipped)[0]

    paper, floats, raw = drawn("paper"), drawn("float"), drawn("paper", unclipped=True)
    assert paper.dtype == np.uint8
    assert floats.dtype == raw.dtype == np.float32
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


def test_pictures_too_small_for_a_metric_are_told_of(clean: Path) -> None:
    listener = Listener()
    result = bench.run(settings(clean, metrics=("ms-ssim", "psnr")), listener)
    assert result.rows[0].stat("ms-ssim") is None
    assert len([line for line in listener.notes if "too small for ms-ssim" in line]) == 2


def test_a_metric_that_is_not_there_has_a_line(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    listener = Listener()
    result = bench.run(settings(clean, metrics=("psnr", "lpips")), listener)
    assert listener.notes[0].startswith("lpips: not measured: needs lpips")
    assert listener.notes[0] in result.markdown
    assert [metric.name for metric in result.metrics] == ["psnr"]
    with pytest.raises(UsageError, match="--metrics: lpips: not measured"):
        bench.run(settings(clean, metrics=("lpips",)), Listener())


def test_limit_takes_the_first(clean: Path) -> None:
    result = bench.run(settings(clean, limit=1), Listener())
    assert [len(row.scores) for row in result.rows] == [1, 1]


# --- results and resuming -----------------------------------------------------------------------


def test_results_say_how_to_repeat_them(clean: Path, tmp_path: Path) -> None:
    command = "mdn bench --data clean"
    result = bench.run(settings(clean, out=tmp_path / "out", command=command), Listener())
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    page = (tmp_path / "out" / "results.md").read_text()
    with (tmp_path / "out" / "results.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    with (tmp_path / "out" / "pictures.csv").open(newline="") as stream:
        single = [row for row in csv.DictReader(stream) if row["method"] == "unittest"]
    assert [row["picture"] for row in single] == ["clean/0.png", "clean/1.png"]
    assert sum(float(row["psnr"]) for row in single) / 2 == pytest.approx(mean(result.rows[1]))
    assert document == json.loads(json.dumps(result.document))
    assert document["command"] == command
    assert document["versions"]["torch"] == torch.__version__
    sha = document["methods"][1]["sha256"]
    assert len(sha) == 64
    assert command in page
    assert sha[:16] in page
    assert f"| gaussian25 | unittest | 2 | {mean(result.rows[1]):.2f} ± " in page
    assert float(table[1]["psnr"]) == pytest.approx(mean(result.rows[1]), abs=1e-5)


def test_what_is_known_is_not_computed_again(clean: Path, tmp_path: Path) -> None:
    def reused(**changes: object) -> list[int]:
        asked = settings(clean, **({"out": tmp_path / "out"} | changes))
        return [row.reused for row in bench.run(asked, Listener()).rows]

    first = bench.run(settings(clean, out=tmp_path / "out"), Listener())
    again = bench.run(settings(clean, out=tmp_path / "out"), Listener())
    assert [row.reused for row in again.rows] == [2, 2]
    assert [row.scores for row in again.rows] == [row.scores for row in first.rows]
    assert reused(metrics=("psnr",)) == [2, 2]
    assert reused(metrics=("psnr", "gmsd")) == [0, 0]
    assert reused(seed=1) == [0, 0]
    assert reused(protocol="float") == [0, 0]
    assert reused(unclipped=True) == [0, 0]
    assert reused(noise="gaussian:26") == [0, 0]
    assert reused(precision="bf16") == [2, 0]
    write(clean / "0.png", seed=5)
    assert reused() == [1, 1]


def test_a_change_of_the_noises_code_is_seen(
    clean: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(settings(clean, out=tmp_path / "out"), Listener())
    monkeypatch.setattr(noise_cases.noise, "add", lambda x, *_: x)
    result = bench.run(settings(clean, out=tmp_path / "out"), Listener())
    assert [row.reused for row in result.rows] == [0, 0]


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


def test_a_folder_that_cannot_be_written_is_known_at_once(clean: Path) -> None:
    with pytest.raises(FileError, match="cannot be used"):
        bench.run(settings(clean, out=clean / "0.png"), Listener())


# --- bad input ----------------------------------------------------------------------------------


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
    for half in ("noisy", "gt"):
        write(root / half / "good.png")
    write(root / "noisy" / "sizes.png", side=SIDE + 1)
    write(root / "gt" / "sizes.png")
    write(root / "noisy" / "alone.png")
    write(root / "gt" / "lonely.png")
    result = bench.run(settings(root), Listener())
    assert [len(row.scores) for row in result.rows] == [1, 1]
    assert [line.split(":")[0] for line in result.failures] == [
        "real/noisy/alone.png",
        "real/gt/lonely.png",
        "real/sizes.png",
    ]
    assert "noisy is 33x33x3, gt is 32x32x3" in result.failures[2]
    assert result.exit_code == 3


def test_two_halves_of_one_name_are_named(tmp_path: Path) -> None:
    for path in ("noisy/a.png", "noisy/a.tif", "gt/a.png"):
        write(tmp_path / "real" / path)
    result = bench.run(settings(tmp_path / "real"), Listener())
    assert [len(row.scores) for row in result.rows] == [1, 1]
    assert result.failures[0].startswith("real/noisy/a.tif: there is another file of that name")
    assert result.exit_code == 3


def test_nothing_measured_is_exit_four(tmp_path: Path) -> None:
    write(tmp_path / "real" / "noisy" / "a.png")
    (tmp_path / "real" / "gt").mkdir()
    assert bench.run(settings(tmp_path / "real"), Listener()).exit_code == 4


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
        ({"data": ("clena",)}, "no folder clena.*did you mean clean"),
        ({"data": ("../x/clena",)}, "no folder"),
        ({"data": ("zzz",)}, "no folder zzz, nor one in .*; did you mean clean"),
        ({"data": ("clean", "clean/../clean")}, "two folders of data are called clean"),
        ({"data": ("clean/0.png",)}, "is a file; name a folder"),
        ({"metrics": ("gmsd",), "fail_below": 0.1}, "less gmsd is better"),
    ],
)
def test_what_is_not_known_offers_the_nearest(
    clean: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(clean.parent)
    with pytest.raises(UsageError, match=message):
        bench.run(settings(clean, root=clean.parent, **changes), Listener())


def test_unknown_models_are_refused_before_any_work(clean: Path) -> None:
    with pytest.raises(ModelError, match="did you mean unittest"):
        bench.run(settings(clean, models=("unitest",)), Listener())


def test_short_names_come_from_the_root(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean.parent / "test").symlink_to(clean.parent, target_is_directory=True)
    monkeypatch.setenv(data.ROOT_VARIABLE, str(clean.parent))
    root = data.default_root()
    assert [each.name for each in data.open_sets(["clean"], root, None)] == ["clean"]
    monkeypatch.delenv(data.ROOT_VARIABLE)
    with pytest.raises(UsageError, match="need --root"):
        data.open_sets(["no-such-set"], data.default_root(), None)


# --- baselines ----------------------------------------------------------------------------------


def test_a_baseline_that_is_not_installed_is_listed(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bm3d", None)
    listener = Listener()
    result = bench.run(settings(clean, models=("unittest", "peer:bm3d")), listener)
    assert [row.method for row in result.rows] == ["noisy", "unittest"]
    line = "peer:bm3d: not installed: needs bm3d; pip install bm3d"
    assert listener.notes[0].startswith(line)
    assert line in result.markdown
    assert result.document["not_measured"].keys() == {"peer:bm3d"}
    assert result.exit_code == 0


PHOTO_BASELINES = [
    n for n, each in baselines.BASELINES.items() if "bm3d" not in n and not each.renders_only
]


@pytest.mark.parametrize("name", PHOTO_BASELINES)
@pytest.mark.parametrize("channels", [1, 3])
def test_baselines_remove_noise(name: str, channels: int) -> None:
    baseline = baselines.find(name)
    if baseline.missing:
        pytest.skip(baseline.missing)
    truth = np.full((48, 40, channels), 0.5, np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape).astype(np.float32)
    result = baseline.denoise(noisy, 0.1, "flat")
    assert result.shape == noisy.shape
    assert result.dtype == np.float32
    assert (result - truth).std() < 0.6 * (noisy - truth).std()
    eight = np.rint(noisy.clip(0, 1) * 255).astype(np.uint8)
    assert baseline.denoise(eight, 0.1, "flat").dtype == np.uint8


@pytest.mark.slow
def test_bm3d_is_told_the_true_sigma() -> None:
    baseline = baselines.find("bm3d")
    if baseline.missing:
        pytest.skip(baseline.missing)
    truth = np.full((24, 24, 3), 0.5, np.float32)
    noisy = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape).astype(np.float32)
    errors = [(baseline.denoise(noisy, s, "flat") - truth).std() for s in (0.01, 0.1)]
    assert errors[1] < 0.3 * errors[0]


def test_a_failing_baseline_leaves_the_picture_to_the_others(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(x: np.ndarray, sigma: float) -> np.ndarray:
        assert sigma == pytest.approx(25 / 255)
        raise ValueError("too odd")

    broken = baselines.Baseline("broken", "fails", (), "", fail)
    monkeypatch.setitem(baselines.BASELINES, "broken", broken)
    result = bench.run(settings(clean, models=("peer:broken", "unittest")), Listener())
    assert [len(row.scores) for row in result.rows] == [2, 0, 2]
    assert result.failures[0] == "clean/0.png: peer:broken failed on it (too odd)"
    assert result.exit_code == 3


def test_a_model_below_the_limit_is_named(clean: Path) -> None:
    result = bench.run(settings(clean, fail_below=60.0), Listener())
    shown = f"{mean(result.rows[1]):.2f}"
    assert result.broken == (f"clean/gaussian25: unittest has psnr {shown}, below 60",)
    assert result.exit_code == 7
    assert bench.run(settings(clean, fail_below=1.0), Listener()).exit_code == 0
