"""What commands that turn files into files have in common."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import typer

from mdn.cli import failures
from mdn.cli.help import debugging
from mdn.cli.options import Files
from mdn.cli.views import BatchView
from mdn.errors import NothingDoneError, UsageError
from mdn.io.base import pixel_limit
from mdn.jobs import manifest, shards
from mdn.jobs.content import digest
from mdn.jobs.inputs import read_list
from mdn.jobs.job import BatchResult, Report
from mdn.jobs.manifest import resume
from mdn.jobs.planning import BatchPlan, plan
from mdn.registry import store
from mdn.registry.cards import DOMAINS, Card


class Plans:
    """Plans the jobs of a command when it is called.

    Attributes:
        inputs: files, folders and patterns of the command line.
        options: the other arguments of `jobs.planning.plan`, but for listed inputs.

    Raises:
        UsageError: see `inputs`; there is no such share of the batch.
    """

    def __init__(
        self,
        given: Sequence[str] | None,
        output: str | None,
        files: Files,
        *,
        resume: bool,
        **more: Any,
    ) -> None:
        self.inputs, self._listed = inputs(given, files.from_file)
        self._output = output
        self.options: dict[str, Any] = {
            "format": files.format,
            "recursive": files.recursive,
            "overwrite": files.overwrite,
            "skip_existing": files.skip_existing,
            "resume": resume,
            "shard": None if files.shard is None else shards.parse(files.shard),
            **more,
        }

    def __call__(self, **more: Any) -> BatchPlan:
        """What is read and what is written. more: options of `jobs.planning.plan` for this one."""
        return plan(self.inputs, self._output, listed=self._listed, **self.options | more)


def inputs(given: Sequence[str] | None, from_file: str | None) -> tuple[list[str], list[str]]:
    """The inputs named on the command line, and those that a list names.

    Args:
        given: the arguments.
        from_file: the list of --from-file, or None.

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


@dataclass(frozen=True)
class BatchRun:
    """One run of a command over many files."""

    context: typer.Context  # of the command; its parameters are read
    files: Files  # the options that all such commands share
    plan: BatchPlan  # the jobs, before what is done already is left out
    # (jobs, report, fail_fast=, dry_run=, dask=) -> what became of the jobs
    task: Callable[..., BatchResult]
    # SHA-256 of the weights that may be used, by the model's name
    models: Mapping[str, str] = field(default_factory=dict)
    resume: bool = False  # what the manifest says is done is left out
    in_blocks: bool = False  # one file can be shared among shards; the task takes `shard` then

    @property
    def command(self) -> str:
        """The command's name."""
        return self.context.info_name or ""

    @cached_property
    def settings(self) -> str:
        """What stands for the options that change the result, and for files that they name."""
        return fingerprint(self.context)

    @property
    def shard(self) -> str:
        """The share of the batch that is asked for, such as "3/16"; or empty."""
        return "" if self.files.shard is None else str(shards.parse(self.files.shard))

    def view(self, total: int) -> BatchView:
        """What draws a batch of `total` files."""
        files = self.files
        return BatchView(
            total,
            quiet=files.quiet,
            dry_run=files.dry_run,
            as_json=files.as_json,
            debug=debugging(self.context),
        )


def run(batch: BatchRun) -> NoReturn:
    """Runs a batch, draws its progress, keeps its manifest, prints its result, and exits.

    Raises:
        UsageError: the request makes no sense.
        NothingDoneError: there are no jobs.
        FileError: the manifest cannot be written.
        typer.Exit: always, with the batch's exit code.
    """
    shard, files = batch.shard, batch.files
    if shard and batch.plan.folder is None and not batch.in_blocks:
        raise UsageError("--shard is for folders, patterns and lists, not for one file")
    check_streams(batch.plan, as_json=files.as_json, dry_run=files.dry_run)
    plan = resumed(batch)
    with batch.view(len(plan.jobs)) as view:
        if shard and plan.folder is not None:
            note = f"shard {shard}: {len(plan.jobs)} of {plan.whole} files"
            plan = replace(plan, notes=(*plan.notes, note))
        for line in plan.notes:
            view.remark(line)
        if not plan.whole:
            raise NothingDoneError("there is nothing to do: no input is left")
        with recorded(batch, plan, view) as report:
            result = work(batch, plan, report, view)
        view.summary(result)
    code = result.exit_code if plan.jobs else 0  # a share may be empty
    if files.as_json:
        answer = document(batch.command, plan, result, view.notes) | {"exit_code": code}
        failures.print_document(batch.context.meta, answer)
    raise typer.Exit(code)


def resumed(batch: BatchRun) -> BatchPlan:
    """The plan; with --resume, what is done already is marked so."""
    plan = batch.plan
    if plan.folder is None or not batch.resume:
        return plan
    jobs = resume(plan.jobs, manifest.read(plan.folder), batch.settings, batch.models)
    return replace(plan, jobs=tuple(jobs))


@contextmanager
def recorded(batch: BatchRun, plan: BatchPlan, view: BatchView) -> Iterator[Report]:
    """The view, with a manifest that is written beside it where files of a batch are.

    Raises FileError: the manifest cannot be written.
    """
    pending = any(not job.skip and job.problem is None for job in plan.jobs)
    if plan.folder is None or batch.files.dry_run or not pending:
        yield view
        return
    path = manifest.path_for(plan.folder, batch.shard)
    with manifest.Recording(view, path, batch.settings, batch.models) as report:
        yield report


def work(batch: BatchRun, plan: BatchPlan, report: Report, view: BatchView) -> BatchResult:
    """Does the jobs of a plan; if it is cut short, prints in JSON how far it came."""
    files = batch.files
    try:
        with pixel_limit(files.max_pixels):
            how: dict[str, object] = {
                "fail_fast": files.fail_fast,
                "dry_run": files.dry_run,
                "dask": files.dask,
            }
            if files.shard is not None and plan.folder is None:
                how["shard"] = shards.parse(files.shard)
            return batch.task(plan.jobs, report, **how)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # the last one is SIGTERM
        if files.as_json:
            tried = tuple(view.outcomes)
            part = BatchResult(tried, untried=len(plan.jobs) - len(tried))
            answer = document(batch.command, plan, part, view.notes)
            answer |= failures.document(batch.command, error)
            failures.print_document(batch.context.meta, answer)
        raise


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

    Args:
        model: the one that the user named, or None.
        quality: what --quality asks for otherwise.

    Raises ModelError: there is no such model, or a card is damaged.
    """
    names = [model] if model else [store.choose(quality, domain).model for domain in DOMAINS]
    return {card.name: _sha256(card) for card in map(store.find, names)}


def _sha256(card: Card) -> str:
    """Of a model's weights; where it mixes models, of their hashes in turn."""
    hashes = [part.sha256 for part in store.with_companions(card)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


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


def fingerprint(context: typer.Context) -> str:
    """What stands for a command with these options and the content of the files they name."""
    words = [*arguments(context), *_digests(context)]
    return manifest.settings_hash(context.info_name or "", words)


def _digests(context: typer.Context) -> Iterator[str]:
    for name in _FILES:
        path = Path(context.params.get(name) or "")
        # What cannot be read fails in its turn, with the right words.
        with suppress(OSError):
            if path.is_file():
                yield f"{name} {digest(path)}"
