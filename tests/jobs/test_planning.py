"""Planning: what is read, what is written, what is refused before any work."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mdn.errors import UsageError
from mdn.jobs import safeguards
from mdn.jobs.job import Job
from mdn.jobs.planning import BatchPlan, plan

Touch = Callable[..., None]


@pytest.fixture
def touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Touch:
    """Makes empty files below the working folder; planning never reads one."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> None:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).touch()

    return make


def pairs(planned: BatchPlan) -> list[tuple[str, str]]:
    return [(job.name, job.target_name) for job in planned.jobs]


def problem(job: Job) -> str:
    assert job.problem is not None
    return str(job.problem)


# --- Naming -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "output", "targets"),
    [
        (["deep/photo.JPG"], None, ["deep/photo_denoised.JPG"]),  # beside it, its own suffix
        (["a.b.c.tif"], None, ["a.b.c_denoised.tif"]),
        (["a.png"], "b.jpg", ["b.jpg"]),
        (["in/a.png"], "out/", ["out/a.png"]),
        (["in/a.png"], "there", ["there/a.png"]),
        (["in/a.png"], "there/", ["there/a.png"]),
        (["a.png", "b.png"], "clean", ["clean/a.png", "clean/b.png"]),  # a folder, if several
        (["in/a.tif"], "{parent}/x/{stem}_{name}{suffix}", ["in/x/a_a.tif.tif"]),
        (["a.tif"], "{stem}2.{suffix}", ["a2.tif"]),
        (["a[1].png"], None, ["a[1]_denoised.png"]),  # looks like a pattern
        (["a_denoised.png"], None, ["a_denoised_denoised.png"]),  # named: taken
        (["-"], "out.png", ["out.png"]),
        (["a.NEF"], None, ["a_denoised.tif"]),
        (["a.NEF"], "out.dng", ["out.dng"]),
    ],
)
def test_what_an_output_is_called(
    touch: Touch, inputs: list[str], output: str | None, targets: list[str]
) -> None:
    touch("there/x.txt", *(name for name in inputs if name != "-"))
    assert [job.target_name for job in plan(inputs, output).jobs] == targets


@pytest.mark.parametrize("output", ["out.png", "there.dat"])
def test_several_inputs_do_not_fit_in_one_file(touch: Touch, output: str) -> None:
    touch("a.png", "b.png", "there.dat")
    with pytest.raises(UsageError, match="one file and there are several inputs"):
        plan(["a.png", "b.png"], output, overwrite=True)


@pytest.mark.parametrize("template", ["{nope}.png", "{stem.x}.png", "{}.png", "{stem!r}.png", "{"])
def test_a_template_with_any_other_field_is_refused(touch: Touch, template: str) -> None:
    touch("a.png")
    with pytest.raises(UsageError, match=r"fields are \{stem\}"):
        plan(["a.png"], template)


@pytest.mark.parametrize("template", ["{stem:d}.png", "{stem:>99999999}.png", "{draw:{draw}}.png"])
def test_a_template_with_any_other_width_is_refused(touch: Touch, template: str) -> None:
    touch("a.png")
    with pytest.raises(UsageError, match=r"only \{draw\} takes a width"):
        plan(["a.png"], template)


def test_format_changes_the_suffix_but_not_its_spelling(touch: Touch) -> None:
    touch("a.jpg", "b.tif")
    planned = plan(["a.jpg", "b.tif"], None, format="JPG")
    assert pairs(planned) == [("a.jpg", "a_denoised.jpg"), ("b.tif", "b_denoised.jpeg")]
    assert {job.format for job in planned.jobs} == {"jpeg"}


def test_format_is_forced_on_a_named_file(touch: Touch) -> None:
    touch("a.png")
    (job,) = plan(["a.png"], "odd.dat", format="png").jobs
    assert (job.target, job.format) == (Path("odd.dat"), "png")


def test_an_unknown_format_is_refused(touch: Touch) -> None:
    touch("a.png")
    with pytest.raises(UsageError, match="--format gif89: choose one of png"):
        plan(["a.png"], None, format="gif89")


def test_an_unknown_output_suffix_is_refused(touch: Touch) -> None:
    touch("a.png")
    with pytest.raises(UsageError):
        plan(["a.png"], "out.xyz")


def test_an_unknown_input_suffix_fails_that_file_alone(touch: Touch) -> None:
    touch("notes.txt", "a.png")
    text, image = plan(["notes.txt", "a.png"], None).jobs
    assert "notes.txt" in problem(text)
    assert image.problem is None


def test_draws_are_numbered(touch: Touch) -> None:
    touch("a.png")
    planned = plan(["a.png"], None, ending="_n", draws=2)
    assert pairs(planned) == [("a.png", "a_n_001.png"), ("a.png", "a_n_002.png")]
    assert [job.draw for job in planned.jobs] == [1, 2]
    planned = plan(["a.png"], "{stem}-{draw:02d}.png", draws=2)
    assert [job.target_name for job in planned.jobs] == ["a-01.png", "a-02.png"]
    planned = plan(["a.png"], "b.png", draws=2)
    assert [job.target_name for job in planned.jobs] == ["b_001.png", "b_002.png"]


# --- Standard streams -------------------------------------------------------------------------


def test_a_dash_alone_is_a_filter(touch: Touch) -> None:
    (job,) = plan(["-"], None).jobs
    assert (job.source, job.target, job.name) == (None, None, "stdin")


def test_stdout_takes_one_image(touch: Touch) -> None:
    touch("a.png", "b.png")
    assert plan(["a.png"], "-").jobs[0].target is None
    with pytest.raises(UsageError, match="one image"):
        plan(["a.png", "b.png"], "-")
    with pytest.raises(UsageError, match="one image"):
        plan(["-"], None, draws=2)


def test_stdin_is_read_once(touch: Touch) -> None:
    with pytest.raises(UsageError, match="twice"):
        plan(["-", "-"], "out/")


def test_stdin_into_a_folder_needs_a_format(touch: Touch) -> None:
    with pytest.raises(UsageError):
        plan(["-"], "out/")
    assert pairs(plan(["-"], "out/", format="png")) == [("stdin", "out/stdin.png")]


# --- Folders and patterns ---------------------------------------------------------------------


def test_an_empty_name_is_not_the_current_folder(touch: Touch) -> None:
    touch("a.png")
    (job,) = plan([""], None).jobs
    assert "empty name" in problem(job)


def test_a_folder_gives_its_images_only(touch: Touch) -> None:
    touch("in/b.PNG", "in/a.jpg", "in/readme.txt", "in/.hidden.png", "in/sub/c.png")
    assert [job.name for job in plan(["in"], None).jobs] == ["in/a.jpg", "in/b.PNG"]


def test_recursion_mirrors_the_tree(touch: Touch) -> None:
    touch("in/a.png", "in/x/a.png", "in/x/y/b.png", "in/.git/c.png")
    assert pairs(plan(["in"], "out", recursive=True)) == [
        ("in/a.png", "out/a.png"),
        ("in/x/a.png", "out/x/a.png"),
        ("in/x/y/b.png", "out/x/y/b.png"),
    ]


def test_an_output_folder_inside_the_input_is_not_input(touch: Touch) -> None:
    touch("in/a.png", "in/out/a.png")
    planned = plan(["in"], "in/out", recursive=True, overwrite=True)
    assert pairs(planned) == [("in/a.png", "in/out/a.png")]


@pytest.mark.parametrize("recursive", [False, True])
def test_a_folder_without_images_is_a_problem(touch: Touch, recursive: bool) -> None:
    touch("in/readme.txt")
    (job,) = plan(["in"], None, recursive=recursive).jobs
    assert problem(job).startswith("in: no images in this folder")
    assert ("-r" in problem(job)) is not recursive


def test_patterns_are_expanded(touch: Touch) -> None:
    touch("a1.png", "a2.png", "b.png", "a.txt", "d/e/a3.png")
    assert [job.name for job in plan(["a?.png"], None).jobs] == ["a1.png", "a2.png"]
    assert "d/e/a3.png" in [job.name for job in plan(["**/a*"], "out").jobs]


def test_a_pattern_that_matches_nothing_is_a_problem(touch: Touch) -> None:
    (job,) = plan(["*.png"], None).jobs
    assert problem(job) == "*.png: no image matches this pattern"


def test_a_missing_file_is_a_problem_of_its_own(touch: Touch) -> None:
    touch("a.png")
    missing, there = plan(["gone.png", "a.png"], None).jobs
    assert "gone.png: no such file" in problem(missing)
    assert there.problem is None


def test_each_file_is_taken_once(touch: Touch) -> None:
    touch("in/a.png", "in/b.png")
    names = [job.name for job in plan(["in/b.png", "in", "./in/a.png"], None).jobs]
    assert names == ["in/b.png", "in/a.png"]


def test_former_outputs_in_a_folder_are_left_out_with_a_note(touch: Touch) -> None:
    touch("in/a.png", "in/a_denoised.png", "in/b_denoised.tif")
    planned = plan(["in"], None, overwrite=True)
    assert [job.name for job in planned.jobs] == ["in/a.png"]
    assert "2 files" in planned.notes[0]


@pytest.mark.parametrize("inputs", ["in", "in/*.png"])
def test_former_outputs_of_a_template_are_left_out_too(touch: Touch, inputs: str) -> None:
    touch("in/a.png", "in/a_clean.png")
    found = plan([inputs], "{parent}/{stem}_clean{suffix}", skip_existing=True)
    assert [job.name for job in found.jobs] == ["in/a.png"]
    assert "earlier run" in str(found.notes)
    elsewhere = plan(["in"], "out/{stem}_clean{suffix}")
    assert len(elsewhere.jobs) == 2


def test_former_outputs_go_where_another_name_is_asked_for(touch: Touch) -> None:
    touch("in/a.png", "in/a_denoised.png")
    assert len(plan(["in"], "out").jobs) == 2


def test_a_folder_of_former_outputs_only_is_a_problem(touch: Touch) -> None:
    touch("in/a_denoised.png")
    assert "earlier run" in problem(plan(["in"], None).jobs[0])


def test_skip_existing_twice_over_what_the_shell_expands(touch: Touch) -> None:
    touch("a.png", "a_denoised.png", "b.png")
    planned = plan(["a.png", "a_denoised.png", "b.png"], None, skip_existing=True)
    assert [(job.name, bool(job.skip)) for job in planned.jobs] == [
        ("a.png", True),
        ("b.png", False),
    ]
    assert "a_denoised.png" in planned.notes[0]


# --- What protects the user's files -----------------------------------------------------------


def test_an_existing_output_is_refused_before_any_work(touch: Touch) -> None:
    touch("a.png", "b.png", "a_denoised.png", "b_denoised.png")
    with pytest.raises(UsageError, match=r"a_denoised.png exists already \(and 1 more\)"):
        plan(["a.png", "b.png"], None)


def test_a_dangling_link_counts_as_existing(touch: Touch) -> None:
    touch("a.png")
    os.symlink("nowhere", "out.png")
    with pytest.raises(UsageError, match="exists"):
        plan(["a.png"], "out.png")


def test_overwrite_and_skip_existing(touch: Touch) -> None:
    touch("a.png", "a_denoised.png")
    assert not plan(["a.png"], None, overwrite=True).jobs[0].skip
    assert "a_denoised.png" in plan(["a.png"], None, skip_existing=True).jobs[0].skip
    with pytest.raises(UsageError, match="exclude each other"):
        plan(["a.png"], None, overwrite=True, skip_existing=True)


@pytest.mark.parametrize("inputs", [["x/a.png", "y/a.png"], ["x/\xe9.png", "y/e\u0301.png"]])
def test_two_inputs_for_one_output_are_refused(touch: Touch, inputs: list[str]) -> None:
    touch(*inputs)
    with pytest.raises(UsageError, match="would both be written to"):
        plan(inputs, "out/", overwrite=True)


@pytest.mark.parametrize("apart", [True, False])
def test_names_that_differ_by_case_are_two_outputs_where_the_disk_tells_them_apart(
    touch: Touch, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    monkeypatch.setattr(safeguards, "tells_case_apart", lambda folder: apart)
    touch("one/a.png", "two/A.png")
    if apart:
        assert pairs(plan(["one/a.png", "two/A.png"], "out/")) == [
            ("one/a.png", "out/a.png"),
            ("two/A.png", "out/A.png"),
        ]
    else:
        with pytest.raises(UsageError, match="would both be written to"):
            plan(["one/a.png", "two/A.png"], "out/")


@pytest.mark.parametrize("names", [[], ["Some.png"], ["123", "x.png"]])
def test_whether_a_disk_tells_case_apart_is_looked_up(tmp_path: Path, names: list[str]) -> None:
    folder = tmp_path / "Folder"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    expected = not (tmp_path / "fOLDER").exists()
    assert safeguards.tells_case_apart(folder) is expected
    assert safeguards.tells_case_apart(folder / "New" / "deep") is expected
    assert sorted(each.name for each in folder.iterdir()) == sorted(names)


def test_a_disk_that_answers_to_either_case_does_not(tmp_path: Path) -> None:
    (tmp_path / "Name").touch()
    if not (tmp_path / "nAME").exists():
        os.link(tmp_path / "Name", tmp_path / "nAME")  # the same file by both names
    assert safeguards.tells_case_apart(tmp_path) is False


def test_one_output_by_two_paths_is_refused(touch: Touch) -> None:
    touch("x/a.png", "x/b.png")
    os.symlink("x", "link")
    with pytest.raises(UsageError, match="would both"):
        plan(["x/a.png", "link/b.png"], "{parent}/same.png")


@pytest.mark.parametrize("way", ["same", "symlink", "hardlink", "other path"])
def test_an_input_is_never_an_output(touch: Touch, way: str) -> None:
    touch("a.png", "d/x.txt")
    output = {"same": "a.png", "other path": "d/../a.png"}.get(way, "out.png")
    if way == "symlink":
        os.symlink("a.png", "out.png")
    if way == "hardlink":
        os.link("a.png", "out.png")
    for overwrite, skip in ((False, False), (True, False), (False, True)):
        with pytest.raises(UsageError, match="also an input"):
            plan(["a.png"], output, overwrite=overwrite, skip_existing=skip)


@pytest.mark.parametrize(
    ("inputs", "output"), [(["a.png", "a_denoised.png"], None), (["in"], "in")], ids=str
)
def test_another_input_is_never_an_output_either(
    touch: Touch, inputs: list[str], output: str | None
) -> None:
    touch("a.png", "a_denoised.png", "in/a.png")
    with pytest.raises(UsageError, match="also an input"):
        plan(inputs, output, overwrite=True)


def test_only_regular_files_are_replaced(touch: Touch) -> None:
    touch("a.png")
    os.mkfifo("pipe.png")
    with pytest.raises(UsageError, match="not a regular file"):
        plan(["a.png"], "pipe.png", overwrite=True)


def test_a_read_only_folder_is_found_out_beforehand(
    touch: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("a.png", "locked/x.txt")
    # Root may write anywhere, so the answer of the system is put in its mouth.
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "locked")
    assert "locked is read-only" in problem(plan(["a.png"], "locked/deep/out.png").jobs[0])
    assert plan(["a.png"], "free/out.png").jobs[0].problem is None
    touch("b.png", "free/c.png")
    with pytest.raises(UsageError, match="locked is read-only"):
        plan(["a.png", "b.png"], "locked/")
    found = plan(["a.png", "b.png", "free/c.png"], "{parent}/{stem}_x{suffix}").jobs
    assert [each.problem for each in found] == [None] * 3
    monkeypatch.setattr(os, "access", lambda folder, mode: Path(folder).name != "free")
    found = plan(["a.png", "b.png", "free/c.png"], "{parent}/{stem}_x{suffix}").jobs
    assert [each.problem is None for each in found] == [True, True, False]


def test_a_file_in_the_place_of_a_folder_is_found_out_beforehand(touch: Touch) -> None:
    touch("a.png", "file")
    assert "not a folder" in problem(plan(["a.png"], "file/out.png").jobs[0])


def test_planning_touches_nothing(touch: Touch, tmp_path: Path) -> None:
    touch("in/a.png")
    before = sorted(tmp_path.rglob("*"))
    plan(["in"], "new/folder/")
    assert sorted(tmp_path.rglob("*")) == before


# --- What mdn does not read -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cat.gif", b"GIF89a", "is a GIF, which mdn does not read; save the frame"),
        ("scan.pdf", b"%PDF", "is a PDF document, which mdn does not read; export"),
        ("photo.dat", b"\x89PNG\r\n\x1a\n", "is a PNG under another name; call it photo.png"),
        ("cells.czi", b"", "is a Zeiss microscope file.*OME-TIFF"),
        ("head.nii", b"", r"is a NIfTI volume, .*tifffile\.imwrite\(.*nibabel"),
        ("head.nii.gz", b"\x1f\x8b", "is a NIfTI volume, .*gunzip"),
        ("a.h5", b"", r"is an HDF5 file, .*tifffile\.imwrite\(.*h5py"),
        ("named.otherwise", b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        ("m31.fits", b"", r"is an astronomer's file \(FITS\), .*tifffile\.imwrite\(.*astropy"),
        ("m31.fit", b"", "is an astronomer's file"),
        ("views.mpo", b"", r"is an MPO \(several pictures in one file\), .*save the one"),
        (
            "notes.txt",
            b"hello",
            r"has a suffix that mdn does not know \(.txt\); it reads PNG.*Zarr",
        ),
        ("notes", b"hello", r"has a suffix that mdn does not know \(none\)"),
    ],
)
def test_an_unknown_input_is_named_first(
    touch: Touch, name: str, content: bytes, said: str
) -> None:
    Path(name).write_bytes(content)
    (job,) = plan([name], None).jobs
    assert re.search(f"^{re.escape(name)}: {said}", problem(job))


def test_a_raw_file_becomes_a_dng_on_request(touch: Touch) -> None:
    touch("a.NEF")
    assert pairs(plan(["a.NEF"], "out/", format="dng")) == [("a.NEF", "out/a.dng")]


def test_raw_files_are_taken_where_they_are_named(touch: Touch) -> None:
    touch("in/a.nef", "in/b.jpg")
    assert [job.name for job in plan(["in"], "out/").jobs] == ["in/b.jpg"]
    assert [job.name for job in plan(["in/*"], "out/").jobs] == ["in/b.jpg"]
    assert pairs(plan(["in/*.nef"], "out/")) == [("in/a.nef", "out/a.tif")]


def test_a_pipe_is_refused_before_anyone_waits_for_it(touch: Touch) -> None:
    os.mkfifo("pipe.png")
    (job,) = plan(["pipe.png"], None).jobs
    assert problem(job) == "pipe.png: is not a regular file; pipe it in and name it -"


def test_only_what_was_there_may_be_replaced(touch: Touch) -> None:
    touch("a.png", "out/b.png")
    assert not plan(["a.png"], None).jobs[0].overwrite
    assert plan(["a.png"], None, overwrite=True).jobs[0].overwrite
    assert plan(["a.png"], "out/b.png", overwrite=True).jobs[0].overwrite


# --- What is left out, and what is there already ------------------------------------------------


def test_pictures_of_other_kinds_are_counted_by_their_kind(touch: Touch) -> None:
    touch("in/a.png", "in/1.CR2", "in/2.cr2", "in/b.dng", "in/c.exr", "in/readme.txt", "in/.d.gif")
    planned = plan(["in"], "out")
    assert [job.name for job in planned.jobs] == ["in/a.png"]
    found = {(each.count, each.reason.split()[0]) for each in planned.left_out}
    assert found == {(2, ".cr2"), (1, ".dng"), (1, ".exr")}
    assert any(note.startswith("in: left out 2 files: .cr2 is") for note in planned.notes)


def test_folders_in_a_folder_are_counted_unless_they_are_looked_into(touch: Touch) -> None:
    touch("in/a.png", "in/x/b.png", "in/y/c.png", "in/.git/d.png", "in/out/a.png")
    (left,) = plan(["in"], "in/out", overwrite=True).left_out
    assert str(left) == "in: left out 2 folders: -r looks into folders too"
    assert not plan(["in"], "in/out", recursive=True, overwrite=True).left_out


def test_links_to_folders_are_not_followed_and_a_loop_ends(touch: Touch) -> None:
    touch("in/a.png", "other/b.png")
    os.symlink(Path("other").absolute(), "in/linked")
    os.symlink(Path("in").absolute(), "in/loop")
    planned = plan(["in"], "out", recursive=True)
    assert [job.name for job in planned.jobs] == ["in/a.png"]
    (left,) = planned.left_out
    assert (left.count, left.reason) == (2, "links are not followed; name one to take it")
    assert len(plan(["in/**/a.png"], "out").jobs) == 1


def test_a_folder_that_may_not_be_read_is_a_problem(
    touch: Touch, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch("in/a.png", "in/locked/b.png")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):  # root may read anything, so this is put in its mouth
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    image, locked = plan(["in"], "out", recursive=True).jobs
    assert image.problem is None
    assert problem(locked).startswith("in/locked: permission denied; check who")


def test_a_link_to_nothing_in_a_folder_is_a_problem(touch: Touch) -> None:
    touch("in/a.png")
    os.symlink("gone.png", "in/b.png")
    assert "link to nothing" in problem(plan(["in"], "out").jobs[1])
    os.mkfifo("in/c.png")
    assert "pipes" in plan(["in"], "out").notes[0]


def test_an_output_that_is_there_stops_its_own_file_only(touch: Touch) -> None:
    touch("a.png", "b.png", "out/a.png")
    there, free = plan(["a.png", "b.png"], "out").jobs
    assert problem(there).startswith("out/a.png: exists already; give --overwrite")
    assert free.problem is None


def test_a_second_output_that_is_there_stops_its_file(touch: Touch) -> None:
    touch("a.png", "b.png", "std/a.tiff")
    there, free = plan(["a.png", "b.png"], "out", std_target="std").jobs
    assert "std/a.tiff: exists already" in problem(there)
    assert free.problem is None


def test_a_second_output_may_be_there_if_its_job_is_skipped_and_only_then(touch: Touch) -> None:
    touch("a.png", "b.png", "c.png", "out/a.png", "std/a.tiff", "std/b.tiff")
    inputs = ["a.png", "b.png", "c.png"]
    skipped, there, free = plan(inputs, "out", std_target="std", skip_existing=True).jobs
    assert skipped.problem is None
    assert skipped.skip
    assert "std/b.tiff: exists already; give --overwrite" in problem(there)
    assert (free.problem, free.skip) == (None, "")


def test_a_second_output_of_what_no_manifest_knows_is_not_replaced_on_resuming(
    touch: Touch,
) -> None:
    touch("s.tif")
    with pytest.raises(UsageError, match=r"s\.tif exists already"):
        plan(["-"], "-", std_target="s.tif", resume=True)


def test_each_of_two_outputs_may_be_replaced_for_itself(touch: Touch) -> None:
    touch("a.png", "std/a.tiff")
    (job,) = plan(["a.png"], "out/", std_target="std/", resume=True).jobs
    assert (job.problem, job.overwrite, job.std_overwrite) == (None, False, True)
