"""What commands that turn files into files have in common."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import typer

from mdn.cli import failures
from mdn.cli.help import debugging
from mdn.cli.options import Files
from mdn.cli.views import BatchView
from mdn.errors import NothingDoneError, UsageError
from mdn.io.base import pixel_limit
from mdn.jobs import manifest
from mdn.jobs.inputs import read_list
from mdn.jobs.job import BatchResult, Report, parse_shard
from mdn.jobs.planning import BatchPlan, plan
from mdn.registry import store
from mdn.registry.cards import DOMAINS


class Plans:
    """Plans the jobs of a command when it is called.

    Attributes:
        inputs: files, folders and patterns of the command line.
        options: the other arguments of `jobs.planning.plan`, but for listed inputs.

    Raises UsageError: see `inputs`; there is no such share of the batch.
    """

    def __init__(
        self, given: Sequence[str] | None, output: str | None, files: Files, **more: Any
    ) -> None:
        self.inputs, self._listed = inputs(given, files.from_file)
        self._output, shard = output, files.shard
        same = ("format", "recursive", "overwrite", "skip_existing")
        self.options: dict[str, Any] = {key: getattr(files, key) for key in same} | more
        self.options["shard"] = None if shard is None else parse_shard(shard)

    def __call__(self, **more: Any) -> BatchPlan:
        """What is read and what is written. more: options of `jobs.planning.plan` for this one."""
        return plan(self.inputs, self._output, listed=self._listed, **self.options | more)


def inputs(given: Sequence[str] | None, from_file: str | None) -> tuple[list[str], list[str]]:
    """The inputs named on the command line, and those that the list of --from-file names.

    Raises UsageError: there are none, or a list cannot be read.
    """
    listed = [] if from_file is None else read_list(from_file)
    if not given and not listed:
        raise UsageError("no input: name images, folders or patterns, or give --from-file LIST")
    if from_file == "-" and given and "-" in given:
        raise UsageError("standard input is the list of --from-file: it cannot be an image too")
    return list(given or ()), listed


# Parameters that do not change the result of a file, and so are not in the hash of the settings.
_NOT_IN_SETTINGS = (
    "inputs output from_file shard dask recursive overwrite skip_existing resume fail_fast"
    " dry_run quiet as_json debug device max_memory max_pixels tile frames count explain"
    " list_types estimate"
)
# Parameters that name files to read, or may: guides of renders can be layers, too.
_FILES = ("protect", "use_fit", "albedo", "normal")


def run(
    context: typer.Context,
    files: Files,
    plan: BatchPlan,
    task: Callable[..., BatchResult],
    models: Mapping[str, str] | None = None,
    *,
    resume: bool = False,
    in_blocks: bool = False,
) -> NoReturn:
    """Runs a command over many files, draws its progress, keeps its manifest, prints its result.

    Args:
        context: of the command; its parameters are read.
        plan: the jobs, before what is done already is left out.
        task: (jobs, report, fail_fast=, dry_run=, dask=) -> what became of the jobs.
        models: SHA-256 of the weights that may be used, by the model's name.
        resume: what the manifest says is done is left out.
        in_blocks: one file can be shared among shards; the task takes `shard` then.

    Raises:
        UsageError: the request makes no sense.
        NothingDoneError: there are no jobs.
        FileError: the manifest cannot be written.
        typer.Exit: else, with the batch's exit code.
    """
    name, models, folder = context.info_name or "", models or {}, plan.folder
    shard = None if files.shard is None else parse_shard(files.shard)
    if shard and folder is None and not in_blocks:
        raise UsageError("--shard is for folders, patterns and lists, not for one file")
    check_streams(plan, as_json=files.as_json, dry_run=files.dry_run)
    how: dict[str, object] = {key: getattr(files, key) for key in ("fail_fast", "dry_run", "dask")}
    notes = plan.notes
    settings = ""  # what stands for the options that change the result
    if folder is not None:
        settings = manifest.settings_hash(name, [*arguments(context), *_digests(context)])
        if resume:
            record = manifest.read(folder)
            jobs = (manifest.resumed(job, record, settings, models) for job in plan.jobs)
            plan = replace(plan, jobs=tuple(jobs))
        if shard:
            notes = (*notes, f"shard {shard}: {len(plan.jobs)} of {plan.whole} files")
    elif shard:
        how["shard"] = shard
    plan = replace(plan, notes=notes)
    shown = {key: getattr(files, key) for key in ("quiet", "dry_run", "as_json")}
    with (
        BatchView(len(plan.jobs), **shown, debug=debugging(context)) as view,
        ExitStack() as opened,
    ):
        for line in plan.notes:
            view.remark(line)
        if not plan.whole:
            raise NothingDoneError("there is nothing to do: no input is left")
        report: Report = view
        pending = any(not job.skip and job.problem is None for job in plan.jobs)
        if folder is not None and pending and not files.dry_run:
            path = manifest.path_for(folder, str(shard or ""))
            recording = manifest.Recording(view, path, settings, models)
            report = opened.enter_context(recording)
        try:
            with pixel_limit(files.max_pixels):
                result = task(plan.jobs, report, **how)
        except (Exception, KeyboardInterrupt, SystemExit) as error:  # the last one is SIGTERM
            if files.as_json:  # how far it came
                tried = tuple(view.outcomes)
                part = BatchResult(tried, untried=len(plan.jobs) - len(tried))
                answer = document(name, plan, part, view.notes) | failures.document(name, error)
                failures.print_document(context.meta, answer)
            raise
        view.summary(result)
    code = result.exit_code if plan.jobs else 0  # a share may be empty
    if files.as_json:
        answer = document(name, plan, result, view.notes) | {"exit_code": code}
        failures.print_document(context.meta, answer)
    raise typer.Exit(code)


def document(
    command: str, plan: BatchPlan, result: BatchResult, notes: Mapping[int, list[str]]
) -> dict[str, object]:
    """The JSON document of a batch, with an entry a file and totals; see docs/json.md.

    notes: the warnings of each job, by its id().
    """
    entries = [
        {
            "input": outcome.job.name,
            "output": None if outcome.job.target is None else str(outcome.job.target),
            "status": outcome.status,
            "seconds": round(outcome.seconds, 3),
            "error": outcome.error if outcome.status == "failed" else None,
            "warnings": notes.get(id(outcome.job), []),
            **outcome.details,
        }
        for outcome in result.outcomes
    ]
    totals = {name: result.count(name) for name in ("ok", "skipped", "failed", "planned")}
    seconds = round(sum(outcome.seconds for outcome in result.outcomes), 3)
    return {
        "command": command,
        "files": entries,
        "notes": list(plan.notes),
        "left_out": [asdict(group) for group in plan.left_out],
        "totals": totals | {"untried": result.untried, "seconds": seconds},
        "exit_code": result.exit_code,
    }


def weights(model: str | None, quality: str) -> dict[str, str]:
    """SHA-256 of the weights of each model that a command may use, by its name.

    model: the one that the user named, or None. quality: what --quality asks for otherwise.
    Raises ModelError: there is no such model, or a card is damaged.
    """
    names = [model] if model else [store.choose(quality, domain).model for domain in DOMAINS]
    by_name: dict[str, str] = {}
    for card in map(store.find, names):
        hashes = [part.sha256 for part in store.with_companions(card)]
        joined = hashlib.sha256("".join(hashes).encode()).hexdigest()  # of models that are mixed
        by_name[card.name] = hashes[0] if len(hashes) == 1 else joined
    return by_name


def check_streams(plan: BatchPlan, *, as_json: bool, dry_run: bool) -> None:
    """Raises UsageError where a standard stream cannot give or take what was asked for."""
    to_stdout = any(job.target is None and job.problem is None for job in plan.jobs)
    if to_stdout and as_json:
        raise UsageError("--json and the image both want standard output: give -o FILE")
    if to_stdout and isinstance(sys.stdout, failures.ClosedOutput):
        raise UsageError("the image would go to standard output, which is closed: give -o FILE")
    if to_stdout and not dry_run and sys.stdout.isatty():
        raise UsageError("the image would go to the terminal: give -o FILE, or redirect it")
    if not dry_run:
        check_stdin(job.source is None for job in plan.jobs)


def check_stdin(streams: Iterable[bool]) -> None:
    """Raises UsageError where an image is wanted of standard input, which is a terminal."""
    if any(streams) and sys.stdin.isatty():
        raise UsageError("- reads an image from standard input, which is the terminal: pipe one in")


def arguments(context: typer.Context) -> tuple[str, ...]:
    """The options that change the result, as on a command line; defaults are left out."""
    words: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        default = parameter.get_default(context, call=True)
        counts = parameter.name not in _NOT_IN_SETTINGS.split() and value is not None
        if counts and value != default:
            words += [parameter.opts[-1], *([] if value is True else [str(value)])]
    return tuple(words)


def _digests(context: typer.Context) -> Iterator[str]:
    for name in _FILES:
        path = Path(context.params.get(name) or "")
        # What cannot be read fails in its turn, with the right words.
        with suppress(OSError):
            if path.is_file():
                yield f"{name} {manifest.digest(path)}"
