"""What decides the result of a file beside the file itself: options, and files that they name."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from mdn.batch.content import digest
from mdn.batch.manifest import settings_hash

# Parameters that do not change the result of a file, and so are not in the hash of the settings.
_NOT_IN_SETTINGS = (
    "inputs output from_file shard dask recursive overwrite skip_existing resume fail_fast"
    " dry_run quiet as_json debug device max_memory max_pixels tile frames count explain"
    " list_types estimate plot"
)
# Parameters that name files to read, or may: guides of renders can be layers, too.
_FILES = ("protect", "use_fit", "albedo", "normal")


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
    return settings_hash(context.info_name or "", words)


def _digests(context: typer.Context) -> Iterator[str]:
    for name in _FILES:
        path = Path(context.params.get(name) or "")
        # What cannot be read fails in its turn, with the right words.
        with suppress(OSError):
            if path.is_file():
                yield f"{name} {digest(path)}"
