"""`mdn verify`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mdn.cli import interrupts, render
from mdn.cli import options as opt
from mdn.errors import FileError

if TYPE_CHECKING:
    from mdn.batch.manifest import Manifest
    from mdn.batch.verification import Finding


@opt.command
def verify(
    folder: Path, recompute: bool = False, quiet: bool = False, as_json: bool = False
) -> None:
    """Checks the outputs of a batch against its manifest.

    Every input and output is read and its hash compared. Exit code 3 where one
    is gone or was changed, or was never finished.
    """
    from mdn.batch import verification

    found = verification.load(folder)
    findings = []
    for finding in verification.check(found):
        if recompute and finding.good:
            finding = _recomputed(found, finding)
        findings.append(finding)
        if not finding.good and not as_json:
            typer.echo(render.printable(f"{finding.entry.output}: {finding.verdict}"))
    good = sum(finding.good for finding in findings)
    code = 0 if good == len(findings) else FileError.exit_code
    if as_json:
        files = [{"output": each.entry.output, "verdict": each.verdict} for each in findings]
        totals = {"same": good, "other": len(findings) - good}
        facts = {"command": "verify", "folder": str(folder), "recomputed": recompute}
        render.print_json(facts | {"files": files, "totals": totals, "exit_code": code})
    elif not quiet:
        typer.echo(f"{good} of {len(findings)} outputs are as the manifest says")
    raise typer.Exit(code)


def _recomputed(found: Manifest, finding: Finding) -> Finding:
    """The same, or what differs when the input is denoised again."""
    from mdn.batch import manifest, verification
    from mdn.cli.app import app

    entry = finding.entry
    run = found.runs.get(entry.settings)
    if run is None or entry.input is None:
        return verification.Finding(entry, "cannot be recomputed: its input or options are unknown")
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / Path(entry.output).name
        command = verification.command_for(run, entry, target)
        code = app(command, prog_name="mdn", standalone_mode=False)
        interrupts.phase = "working"  # it is over for that command alone
        if code == interrupts.INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            return verification.Finding(entry, "cannot be recomputed: see the error above")
        made = verification.made_by(target, run, entry)
        same = made.exists() and manifest.digest(made) == entry.output_sha256
        return finding if same else verification.Finding(entry, "recomputed, it differs")
