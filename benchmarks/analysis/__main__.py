"""What models make of noise inside: CKA, SRGA, histograms of deep features.

    python -m benchmarks.analysis -m photo --data photos/ -o inside/

CKA compares stages within and across models and noises; SRGA says how differently a model treats
two noises; histograms show its deepest features.
"""

import argparse
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import mdn
from benchmarks.analysis import figures
from benchmarks.analysis.features import features, vectors
from benchmarks.analysis.similarity import FEWEST, Alignment, gram, srga
from mdn import plots
from mdn.bench import noise_cases
from mdn.bench.data import DataSet, default_root, open_sets, read
from mdn.bench.noise_cases import NoiseCase
from mdn.bench.tables import as_csv, table
from mdn.encoding import Display
from mdn.errors import FileError, MdnError, UsageError
from mdn.io.atomic import write_bytes
from mdn.metrics import PROTOCOLS
from mdn.pipeline.models import Models
from mdn.pipeline.options import Options
from mdn.registry.model import Model

BATCH = 8  # patches whose features are held at once
SAMPLES = 256  # channel vectors of each batch for SRGA and histograms
BINS, SPAN = 60, 4.0  # of a histogram, that many deviations of the reference either way
NAME = "analysis"
NOISES = "gaussian:15,gaussian:50,poisson:3,speckle:0.04,spatial:50,salt-pepper:0.02"


@dataclass(frozen=True)
class AnalysisRequest:
    """What is looked at, and where the figures go.

    The first of `noise` is the reference that the others are held against. `command` is the command
    line, for the report.
    """

    models: tuple[str, ...]
    data: str
    noise: str
    out: Path
    patches: int = 32
    side: int = 64
    seed: int = 0
    root: Path | None = None
    device: str = "auto"
    command: str = "benchmarks.analysis"


@dataclass
class Views:
    """What models make of the patches."""

    alignment: Alignment  # of all (model, noise, stage)
    stages: dict[str, list[str]]
    deep: dict[tuple[str, str], list[np.ndarray]]


def run(request: AnalysisRequest) -> dict[str, Any]:
    """Look into the models, write figures and numbers, and return the numbers; JSON-able.

    Raises:
        UsageError: unknown names, too few patches or noises, patches that do not fit a net.
        ModelError: an unknown or damaged model. FileError: nothing can be read or written.
    """
    cases = noise_cases.parse(request.noise)
    if len(cases) < 2:
        raise UsageError("--noise: name at least two; the others are compared with the first")
    if request.patches < FEWEST:
        raise UsageError(f"--patches {request.patches}: at least {FEWEST} are needed")
    models = {name: _model(name, request) for name in dict.fromkeys(request.models)}
    (data,) = open_sets((request.data,), request.root or default_root(), None)
    if data.pairs:
        raise UsageError(f"{data.name} holds pairs: name a folder of clean pictures")
    patches = _patches(data, request, cases)
    views = _gather(models, patches, request)
    document = _document(request, [case.label for case in cases], views)
    _write(request.out, document)
    return document


def _model(name: str, request: AnalysisRequest) -> Model:
    models = Models(name, device=request.device)
    multiple = models.card().multiple
    if request.side % multiple:
        raise UsageError(f"--side {request.side}: {name} takes multiples of {multiple}")
    return models.load()


def _patches(
    data: DataSet, request: AnalysisRequest, cases: tuple[NoiseCase, ...]
) -> dict[str, Tensor]:
    """Of each noise the same places (n, 3, side, side), 8-bit values on 0..1."""
    random = np.random.default_rng(request.seed)
    pages: dict[str, list[np.ndarray]] = {case.label: [] for case in cases}
    side, paper = request.side, PROTOCOLS["paper"]
    usable = 0
    for number in range(request.patches):
        if number >= len(data.pictures) and not usable:
            break
        picture = data.pictures[number % len(data.pictures)]
        truth = read(picture).truth
        if truth.shape[2] != 3 or min(truth.shape[:2]) < side:
            continue
        usable += 1
        top, left = (int(random.integers(length - side + 1)) for length in truth.shape[:2])
        patch = np.ascontiguousarray(truth[top : top + side, left : left + side])
        for case in cases:
            noisy, _ = noise_cases.add(patch, case, picture, request.seed + number, paper, False)
            pages[case.label].append(Display(noisy.dtype).encode(noisy))
    if usable < FEWEST:
        raise UsageError(f"{data.name} has too few colour pictures of at least {side} pixels")
    stacks = {label: np.stack(stack).transpose(0, 3, 1, 2) for label, stack in pages.items()}
    return {label: torch.from_numpy(stack.copy()) for label, stack in stacks.items()}


def _gather(
    models: dict[str, Model],
    patches: dict[str, Tensor],
    request: AnalysisRequest,
) -> Views:
    """Runs every model on every noise, minibatch by minibatch; only Gram matrices stay."""
    views = Views(Alignment(), {}, {})
    count = len(next(iter(patches.values())))
    # A rest too small for the estimator goes with the minibatch before it.
    starts = [start for start in range(0, count, BATCH) if start == 0 or count - start >= FEWEST]
    random = np.random.default_rng(request.seed)
    options = Options(seed=request.seed)
    for start in starts:
        stop = count if start == starts[-1] else start + BATCH
        grams: dict[Any, Tensor] = {}
        for (name, model), (label, stack) in product(models.items(), patches.items()):
            by_stage = features(model, options, stack[start:stop])
            if not by_stage:
                problem = f"{name} finds no noise under {label} and changes nothing"
                raise UsageError(f"{problem}: leave {label} out")
            grams |= {(name, label, stage): gram(value) for stage, value in by_stage.items()}
            views.stages.setdefault(name, list(by_stage))
            deepest = vectors(by_stage[views.stages[name][-1]])
            chosen = random.choice(len(deepest), min(SAMPLES, len(deepest)), replace=False)
            views.deep.setdefault((name, label), []).append(deepest[chosen].double().numpy())
        views.alignment.add(grams)
    return views


def _document(request: AnalysisRequest, labels: list[str], views: Views) -> dict[str, Any]:
    deep = {key: np.concatenate(parts) for key, parts in views.deep.items()}
    stages, between = views.stages, views.alignment.between
    models, first = list(stages), labels[0]

    def cka(a: str, b: str, label: str) -> list[list[float]]:
        """CKA of each stage of a (rows) with each of b (columns) under one noise."""
        return [[between((a, label, s), (b, label, t)) for t in stages[b]] for s in stages[a]]

    return {
        "command": request.command,
        "version": mdn.__version__,
        "settings": asdict(request) | {"root": None, "out": None},
        "reference": first,
        "noises": labels,
        "stages": stages,
        "within": {m: cka(m, m, first) for m in models},
        "across_models": [
            {"models": [a, b], "noise": label, "cka": cka(a, b, label)}
            for number, a in enumerate(models)
            for b in models[:number]
            for label in labels
        ],
        "across_noises": {
            m: {
                label: [between((m, first, s), (m, label, s)) for s in stages[m]]
                for label in labels[1:]
            }
            for m in models
        },
        "srga": {
            m: {label: srga(deep[m, first], deep[m, label]) for label in labels[1:]} for m in models
        },
        "histograms": {
            m: _histograms(deep[m, first], {label: deep[m, label] for label in labels})
            for m in models
        },
    }


def _histograms(reference: np.ndarray, sets: dict[str, np.ndarray]) -> dict[str, Any]:
    """Densities of the deepest features, each channel in deviations of the reference."""
    middle, spread = reference.mean(0), reference.std(0)
    alive = spread > 0
    edges = np.linspace(-SPAN, SPAN, BINS + 1)
    densities = {}
    for label, values in sets.items():
        scaled = (values - middle)[:, alive] / spread[alive]
        counts = np.histogram(scaled, edges)[0]
        densities[label] = (counts / max(1, scaled.size) / np.diff(edges)).tolist()
    return {"edges": edges.tolist(), "densities": densities}


def markdown(document: dict[str, Any]) -> str:
    """The numbers that matter, for people."""
    deepest = {
        model: {label: values[-1] for label, values in rows.items()}
        for model, rows in document["across_noises"].items()
    }
    alike = "CKA of the deepest stage with itself under the reference"
    names = document["noises"][1:]
    about = f"`{document['command']}`, mdn {document['version']}; reference {document['reference']}"
    lines = ["# What the models make of noise inside", "", f"{about}."]
    for title, sense, rows in (
        ("SRGA", "lower: the same is done to both noises", document["srga"]),
        (alike, "1: alike", deepest),
    ):
        cells = [[model, *(f"{row[name]:.3f}" for name in names)] for model, row in rows.items()]
        lines += ["", f"## {title}", "", f"{sense}.", "", *table(["model", *names], cells, 1)]
    return "\n".join(lines) + "\n"


def _csv(document: dict[str, Any]) -> str:
    """Every CKA across noises, and SRGA, one a line."""
    rows = []
    for model, across in document["across_noises"].items():
        for label, values in across.items():
            pairs = [("cka", *pair) for pair in zip(document["stages"][model], values, strict=True)]
            for measure, stage, value in [*pairs, ("srga", "", document["srga"][model][label])]:
                row = {"measure": measure, "model": model, "stage": stage, "noise": label}
                rows.append(row | {"value": f"{value:.6g}"})
    return as_csv(rows)


def _write(out: Path, document: dict[str, Any]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(str(out), "cannot be used as a folder", "choose another with -o") from error
    write_bytes(out / f"{NAME}.json", (json.dumps(document, indent=1) + "\n").encode())
    write_bytes(out / f"{NAME}.csv", _csv(document).encode())
    write_bytes(out / f"{NAME}.md", markdown(document).encode())
    if plots.missing():
        return
    for name, draw in figures.FIGURES.items():
        png = plots.as_png(lambda draw=draw: draw(document))  # type: ignore[misc]
        if png is not None:
            write_bytes(out / f"{name}.png", png)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-m", "--model", default="photo", help="models, with commas between")
    parser.add_argument("--data", required=True, help="a folder of clean pictures")
    parser.add_argument("--noise", default=NOISES, help="the others are compared with the first")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the figures")
    parser.add_argument("--patches", type=int, default=32, help="number of patches")
    parser.add_argument("--side", type=int, default=64, help="their side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--root", type=Path, help="where short names of data are looked up")
    parser.add_argument("--device", default="auto")
    options = vars(parser.parse_args())
    models = tuple(name.strip() for name in options.pop("model").split(","))
    command = shlex.join(["python", "-m", "benchmarks.analysis", *sys.argv[1:]])
    try:
        document = run(AnalysisRequest(models, command=command, **options))
    except MdnError as error:
        parser.exit(error.exit_code, f"{error}\n")
    print(markdown(document), end="")
    if plots.missing():
        print(f"note: {plots.missing()}", file=sys.stderr)


if __name__ == "__main__":
    main()
