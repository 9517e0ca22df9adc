"""Plots, contact sheets and the HTML report of a benchmark."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from mdn import bench, io, metrics, plots
from mdn.bench.methods import Model
from mdn.bench.report import figures, pivot, publish, sheet_files, sheets
from mdn.errors import FileError, UsageError
from mdn.registry import store
from tests.bench.test_bench import Listener, settings, write

pytest.importorskip("matplotlib")
NOISE = "gaussian:15,gaussian:25,gaussian:50,poisson:2"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with plots and a report."""
    folder = tmp_path_factory.mktemp("bench")
    for index in range(3):
        write(folder / "clean" / f"{index}.png", index, side=40)
    assert bench.run(asked(folder), Listener()).exit_code == 0
    return folder


def asked(folder: Path) -> bench.Settings:
    return settings(
        folder / "clean",
        noise=NOISE,
        out=folder / "out",
        plots=True,
        page=folder / "out" / "report.html",
        worst=True,
        command="mdn bench --data 'a<b>'",
    )


def document(folder: Path) -> dict:
    return json.loads((folder / "out" / "results.json").read_text())


# --- contact sheets -----------------------------------------------------------------------------


def test_the_crop_is_where_methods_differ_most() -> None:
    even = np.full((200, 300), 0.01)
    other = even.copy()
    other[100:140, 200:240] = 0.2
    top, left, side = sheets.informative_crop([even, other])
    assert side == sheets.CROP
    assert top <= 100
    assert left <= 200
    assert top + side >= 140
    assert left + side >= 240
    truth = np.zeros_like(even)
    truth[:, :40] = np.random.default_rng(0).random((len(truth), 40))
    assert (
        sheets.informative_crop([even, 2 * even], truth)[1] == 0
    )  # where there is something to see
    alone = sheets.informative_crop([other])  # where its error is
    assert alone[0] <= 100 <= 140 <= alone[0] + side
    assert sheets.informative_crop([even[:20, :30]])[2] == 20
    assert sheets.informative_crop([even[:100, :120]])[2] == 50


def test_window_means_are_means() -> None:
    plane = np.random.default_rng(0).random((9, 7))
    means = sheets._window_means(plane, 4)
    assert means.shape == (6, 4)
    assert means[2, 3] == pytest.approx(plane[2:6, 3:7].mean())


def test_sheets_show_what_was_measured(finished: Path) -> None:
    about = document(finished)
    assert about["sheets"] == ["clean-gaussian25", "clean-poisson2"]  # the middle level of each
    first, _ = sheet_files.load(finished / "out", about["sheets"])
    assert [tile.name for tile in first.tiles] == ["truth", "noisy", "unittest"]
    scores = [json.loads(x) for x in (finished / "out" / "scores.jsonl").read_text().splitlines()]
    known = [score["metrics"]["psnr"] for score in scores]
    assert first.tiles[2].value in known
    truth = io.read_image(finished / first.picture).pixels[0]
    left, top, side = first.box
    crop = io.read_image(first.tiles[0].image).pixels[0]
    assert np.array_equal(crop, truth[top : top + side, left : left + side])
    assert io.read_image(first.tiles[1].error).pixels.shape[1:3] == (side, side)


def test_sheets_are_not_made_twice(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr(Model, "denoise", never)
    bench.run(asked(finished), Listener())
    assert document(finished)["sheets"]


def test_a_torn_sheet_is_left_out(finished: Path) -> None:
    place = finished / "torn" / "sheets" / "clean-gaussian25"
    place.mkdir(parents=True)
    (place / "sheet.json").write_text('{"key": "a", "tiles": []}')
    assert sheet_files.load(finished / "torn", ["clean-gaussian25", "../../out"]) == []


# --- figures ------------------------------------------------------------------------------------


def test_every_plot_is_a_picture(finished: Path) -> None:
    names = sorted(path.name for path in (finished / "out" / "plots").iterdir())
    assert names == ["levels-clean.png", "pictures-clean.png", "speed.png"]
    for name in names:
        page = io.read_image(finished / "out" / "plots" / name).pixels[0]
        assert min(page.shape[:2]) > 100
        assert page.std() > 5


def test_the_level_figure_has_the_tables_numbers(finished: Path) -> None:
    about = document(finished)
    with plots.style():
        figure = figures.levels(about, "clean")
    assert figure is not None
    panels = {at.get_title(loc="left"): at for at in figure.axes}
    assert panels.keys() == {"gaussian", "poisson"}
    lines = panels["gaussian"].get_lines()
    want = [row["psnr"] for row in about["rows"] if row["method"] == "unittest"][:3]
    assert any(list(line.get_ydata()) == want for line in lines)
    assert all(list(line.get_xdata()) == [15, 25, 50] for line in lines)


def test_time_is_seconds_per_megapixel(finished: Path) -> None:
    about = document(finished)
    rows = [row for row in about["rows"] if row["method"] == "unittest"]
    seconds, value = figures._speeds(about, "clean")["unittest"]
    assert seconds == np.median([row["us_per_pixel"] for row in rows])
    assert value == pytest.approx(np.mean([row["psnr"] for row in rows]))


def test_training_curves_are_of_the_weights_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = store.find("unittest")
    folder = tmp_path / "models" / "unittest"
    shutil.copytree(card.folder, folder)
    (folder / "training.csv").write_text("step,loss,gaussian-25\n50,0.5,\n100,0.25,30.5\n")
    monkeypatch.setenv("MDN_HOME", str(tmp_path))
    about = {"methods": [{"kind": "model", "name": "unittest", "sha256": card.sha256}]}
    with plots.style():
        figure = figures.training(about)
    assert figure is not None
    loss, watched = figure.axes
    assert list(watched.get_lines()[0].get_ydata()) == [30.5]
    assert list(loss.get_lines()[0].get_xdata()) == [50, 100]
    about["methods"][0]["sha256"] = "of other weights"
    assert figures.logs(about) == {}
    assert figures.training(about) is None


@pytest.mark.parametrize(
    ("label", "want"),
    [
        ("gaussian25", ("gaussian", 25)),
        ("salt-pepper0.002", ("salt-pepper", 0.002)),
        ("real", ("real", None)),
        ("spp16", ("spp", 16)),
    ],
)
def test_labels_split(label: str, want: tuple[str, float | None]) -> None:
    assert figures.split(label) == want


# --- the report ---------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """What a page loads, and whether its tags are closed."""

    VOID = ("meta", "img", "br", "link", "path", "use")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and tag != "a":
                self.loads.append(value or "")
            if name == "id":
                self.ids.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_report_is_one_file(finished: Path) -> None:
    text = (finished / "out" / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert all(each.startswith(("data:image/png;base64,", "#")) for each in page.loads)
    assert len(page.loads) > 10
    assert not re.search(r"@import|url\((?!#)|<script src|<link", text)
    assert len(set(page.ids)) == len(page.ids)


def test_the_report_says_how_to_repeat_it(finished: Path) -> None:
    text, about = (finished / "out" / "report.html").read_text(), document(finished)
    assert "mdn bench --data &#39;a&lt;b&gt;&#39;" in text
    assert "<b>&#39;" not in text
    assert about["methods"][1]["sha256"] in text
    assert about["data"][0]["sha256"] in text
    for name, version in about["versions"].items():
        assert f"{name} {version}" in text
    for row in about["rows"]:
        assert f"{row['psnr']:.2f}" in text


def test_the_report_lists_the_pictures_that_lose_most(finished: Path) -> None:
    text, about = (finished / "out" / "report.html").read_text(), document(finished)
    section = text[text.index('id="pictures-that-lose-most"') :]
    section = section[: section.index("</section>")]
    assert about["worse_than_input"][0] in section.replace("&gt;", ">")
    for each in about["worst"]:
        assert f"{each['gain']:.2f}" in section
        assert each["picture"] in section


def test_inlined_figures_take_the_pages_ink(finished: Path) -> None:
    text = (finished / "out" / "report.html").read_text()
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert "currentColor" in drawing
        assert plots.INK not in drawing
        assert "<text" in drawing


def test_a_finished_folder_is_enough(finished: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.html"
    assert publish.from_results(finished / "out", target, False) == [target]
    again = target.read_text()
    assert again == (finished / "out" / "report.html").read_text()
    assert publish.from_results(finished / "out", target, False) == [target]  # ours: replaced


def test_the_best_of_a_line_is_marked() -> None:
    rows = [
        {"data": "d", "noise": "n", "method": name, "kind": kind, "gmsd": value}
        for name, kind, value in (
            ("noisy", "input", 0.01),
            ("a", "model", 0.2),
            ("b", "baseline", 0.1),
        )
    ]
    found = pivot.of({"rows": rows}, "d", metrics.get("gmsd"))
    assert found.names == ("noisy", "a", "b")
    ((noise, cells),) = found.lines
    assert noise == "n"
    assert [cell.kind for cell in cells] == ["input", "", "best"]  # lower is better
    alone = pivot.of({"rows": rows[:2]}, "d", metrics.get("gmsd"))
    assert "best" not in [cell.kind for cell in alone.lines[0][1]]


# --- what is refused ----------------------------------------------------------------------------


def test_what_cannot_be_written_is_known_first(finished: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.html"
    other.write_text("<html>my own</html>")
    for page, drawn, message in (
        (tmp_path / "a.pdf", False, "ends in .html"),
        (tmp_path / "none" / "a.html", False, "there is no folder"),
        (other, False, "there is another file"),
        (None, True, "--plots needs a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            bench.run(settings(finished / "clean", page=page, plots=drawn), Listener())
    assert other.read_text() == "<html>my own</html>"


def test_a_folder_without_results(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        publish.from_results(tmp_path, tmp_path / "a.html", False)
    (tmp_path / "results.json").write_text('{"rows": []}')
    with pytest.raises(FileError, match="is damaged"):
        publish.from_results(tmp_path, tmp_path / "a.html", False)
    with pytest.raises(UsageError, match="needs something to make"):
        publish.from_results(tmp_path, None, False)


def test_without_matplotlib_the_report_says_so(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    line = "plots: not drawn: needs matplotlib; pip install mdn[plots]"
    listener = Listener()
    bench.run(settings(finished / "clean", noise="gaussian:25", page=tmp_path / "r.html"), listener)
    assert line in listener.notes
    text = (tmp_path / "r.html").read_text()
    assert line in text
    assert "<svg" not in text
    with pytest.raises(UsageError, match="--plots: not drawn: needs matplotlib"):
        bench.run(settings(finished / "clean", plots=True, out=tmp_path), Listener())
