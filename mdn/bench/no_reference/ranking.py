"""`mdn bench photo.png`: which denoiser is best for a picture that has no clean version.

`check` holds the ranking against the truth where there is one: how often the best guess is best.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np

from mdn.batch.files import load
from mdn.batch.inputs import expand
from mdn.batch.running import Job, Report, run_batch
from mdn.bench import Settings, noise_cases
from mdn.bench.data import default_root, open_sets
from mdn.bench.method import Method
from mdn.bench.methods import resolve
from mdn.bench.no_reference import estimators, nearness
from mdn.bench.no_reference.estimators import Scores, psnr
from mdn.bench.scoring import Rules, Scorer
from mdn.encoding import Display
from mdn.errors import FileError
from mdn.metrics import PROTOCOLS
from mdn.noise.analysis.estimate import SMALLEST_SIDE
from mdn.pipeline.classical import estimate_noise
from mdn.pipeline.sample import sample_for_estimation

SURE, LIKELY = 0.95, 0.7  # confidence from which a sentence says so
NOTHING = "cannot rank: there is too little noise, or too little calm picture to see it in"
SIDE = 512  # pixels a side of the middle of the picture, which alone is scored


@dataclass(frozen=True)
class Candidate:
    """One method on one picture: its scores, seconds for one answer, its true error if known."""

    name: str
    scores: Scores
    seconds: float
    truth: float | None = None

    def document(self, rank: int) -> dict[str, Any]:
        """JSON-able, errors as decibels, where they are errors and no mere order."""
        scores = self.scores
        shown: dict[str, Any] = {"name": self.name}
        shown["rank"] = None if scores.error is None else rank
        for name in ("score", "renoised", "sure", "masked"):
            shown[name] = psnr(_SCORES[name](scores)) if scores.away is None else None
        shown |= {"whiteness": scores.whiteness, "taken": scores.taken, "seconds": self.seconds}
        return shown if self.truth is None else shown | {"truth": psnr(self.truth)}


@dataclass(frozen=True)
class Hits:
    """How often a score ranks as the truth does."""

    pictures: int  # on which it could be had for all
    best: float  # share of them on which its first is the true first
    pairs: float  # share of all pairs of methods that it puts in the true order
    regret: float  # mean decibels lost by following it to its first

    def in_words(self, asked: int) -> str:
        """How far to trust the ranking, of `asked` pictures, with Wilson's interval of 95 %."""
        n, p, z2 = self.pictures, self.best, 1.96**2
        middle, reach = p + z2 / (2 * n), (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5
        low, high = ((middle + side * reach) / (1 + z2 / n) for side in (-1, 1))
        rest = f"; {asked - n} could not be ranked" if asked > n else ""
        return (
            f"The best comes first on {round(p * n)} of {n} pictures ({p:.0%}; on others like them "
            f"probably {low:.0%} to {high:.0%}). Taking the first costs {self.regret:.2f} dB on "
            f"average{rest}."
        )


def run(inputs: Sequence[str], settings: Settings, report: Report) -> tuple[dict[str, Any], int]:
    """Each picture's methods, best first; the document and the exit code.

    Args:
        inputs: pictures, folders or patterns.
        settings: the models, seed, device and precision count.

    Raises UsageError: an unknown baseline. ModelError: an unknown or damaged model.
    """
    methods = resolve(settings.models, settings.device, settings.precision, settings.seed)
    expansion = expand(inputs)
    jobs = [Job(each.path, None, each.name, problem=each.problem) for each in expansion.found]

    def work(job: Job, report: Report) -> dict[str, object]:
        page = middle(load(job).pixels[0])
        if min(page.shape[:2]) < SMALLEST_SIDE or not np.isfinite(page).all():
            raise FileError(job.name, f"is smaller than {SMALLEST_SIDE} pixels, or not finite")
        progress = partial(report.progress, job)
        lines = ranked(score_methods(page, job.name, methods.found, settings.seed, None, progress))
        sureness = confidence(lines, settings.seed)
        noise = estimate_noise(sample_for_estimation(page, Display(page.dtype).encode))
        return {
            "judged": [page.shape[1], page.shape[0]],
            "noise": asdict(noise) | {"sigma": [255 * each for each in noise.channel_sigmas]},
            "ranking": [line.document(rank) for rank, line in enumerate(lines, 1)],
            "confidence": sureness,
            "verdict": verdict(lines, sureness),
        }

    result = run_batch(jobs, work, report)
    pictures = [
        {"input": each.job.name, "status": each.status, "error": each.error or None} | each.details
        for each in result.outcomes
    ]
    return {"missing": methods.missing, "pictures": pictures}, result.exit_code


def middle(page: np.ndarray) -> np.ndarray:
    """The middle SIDE x SIDE of a page (H, W, C), all of it where it is smaller."""
    top, left = (max(0, (length - SIDE) // 2) for length in page.shape[:2])
    return page[top : top + SIDE, left : left + SIDE]


def score_methods(
    page: np.ndarray,
    name: str,
    methods: Sequence[Method],
    seed: int,
    truth: np.ndarray | None,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Candidate]:
    """The scores of each method that takes ordinary pictures and does not fail on this one.

    page: noisy, (H, W, C) as stored. truth: the clean one, float 0..1, for `check`.
    """
    coding = Display(page.dtype)
    noisy = coding.encode(page)
    noise = estimate_noise(sample_for_estimation(page, coding.encode))
    reference = nearness.reference(page)
    methods = [each for each in methods if not each.renders_only]
    found: list[Candidate] = []
    answers: list[np.ndarray] = []
    for number, method in enumerate(methods, 1):
        method.prepare()
        timed: list[tuple[float, np.ndarray]] = []

        def denoise(x: np.ndarray, method: Method = method, timed: Any = timed) -> np.ndarray:
            begun = time.perf_counter()
            answer = method.denoise(x, noise.sigma, name)
            timed.append((time.perf_counter() - begun, answer))
            return answer

        scores = estimators.estimate_scores(denoise, noisy, noise, seed, reference)
        seconds, answer = timed[0]
        answers.append(answer)
        error = None if truth is None else float(((answer.clip(0, 1) - truth) ** 2).mean())
        found.append(Candidate(method.name, scores, seconds, error))
        progress(0.8 * number / len(methods))
    if any(each.scores.sure is None for each in found) or len(found) < 2:
        return found  # the distance ranks, the masked error, or nothing
    denoised = [each for each, by in zip(answers, methods, strict=True) if by.kind != "input"]
    consensus = np.median(denoised, 0)
    again = estimators.renoise(consensus, noisy, noise, seed)
    for number, (method, each) in enumerate(zip(methods, found, strict=True)):
        answer = method.denoise(again, noise.sigma, name)
        scores = estimators.with_renoised(each.scores, answer, consensus)
        found[number] = replace(each, scores=scores)
    return found


def ranked(lines: Sequence[Candidate]) -> list[Candidate]:
    """Best first by estimated error; those without an estimate keep their order, last."""
    return sorted(lines, key=lambda each: (each.scores.error is None, each.scores.error or 0.0))


def confidence(best_first: Sequence[Candidate], seed: int) -> float | None:
    """How sure it is that the first is the best, 0 to 1; None where nothing can be said."""
    known = [line.scores for line in best_first if line.scores.error is not None]
    return estimators.confidence(known[0], known[1:], seed) if len(known) > 1 else None


def verdict(best_first: Sequence[Candidate], sureness: float | None) -> str:
    """The ranking and how sure it is, as a plain sentence."""
    known = [line for line in best_first if line.scores.error is not None]
    if not known:
        return NOTHING
    first = "leaving it as it is" if known[0].name == "noisy" else known[0].name
    if len(known) == 1:
        return f"only {first} could be judged"
    if sureness is None:
        return f"{first} comes first; the picture is too small to say how sure that is"
    second = "the untouched picture" if known[1].name == "noisy" else known[1].name
    if sureness < LIKELY:
        return f"{first} and {second} are too close to tell apart: take the faster one"
    sure = "best" if sureness >= SURE else f"probably best ({sureness:.0%})"
    if known[0].scores.away is not None:
        return f"{first} is {sure}; by how much cannot be told, since neighbours share the noise"
    gain = (psnr(known[0].scores.error) or 0.0) - (psnr(known[1].scores.error) or 0.0)
    return f"{first} is {sure}, about {gain:.1f} dB better than {second}"


def check(settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """The hit rates of every score on data with known truth.

    Pairs come with their own noise; renders are left out, and so are files that cannot be read.
    say: called with a line for each picture, and for each that cannot be read.

    Raises:
        UsageError: unknown data, noise or baseline. ModelError: an unknown or damaged model.
        FileError: a method cannot do a picture.
    """
    methods = resolve(settings.models, settings.device, settings.precision, settings.seed)
    sets = open_sets(settings.data, settings.root or default_root(), settings.limit, say)
    wanted = noise_cases.parse(settings.noise)
    scorer = Scorer(methods.found, Rules((), PROTOCOLS["paper"], False, settings.seed))
    found: list[tuple[str, list[Candidate]]] = []  # data and noise, and the methods, best first
    certain: dict[float, list[tuple[str, list[Candidate]]]] = {SURE: [], LIKELY: []}
    failures = [line for data in sets for line in data.failures]
    for data in (each for each in sets if not each.renders):
        for case, picture in itertools.product(noise_cases.plan(data, wanted), data.pictures):
            try:
                task = scorer.task(picture, case)
            except FileError as error:
                failures.append(str(error))
                say(f"mdn: error: {error}")
                continue
            clean, noisy = middle(Display(task.truth.dtype).encode(task.truth)), middle(task.noisy)
            lines = score_methods(noisy, task.name, methods.found, settings.seed, clean)
            best = min(lines, key=lambda line: line.truth or 0.0).name
            lines = ranked(lines)
            found.append((f"{data.name}/{case.label}", lines))
            sureness = confidence(lines, settings.seed) or 0.0
            for least, pictures in certain.items():
                pictures += [found[-1]] if sureness >= least else []
            guess = "none" if lines[0].scores.error is None else lines[0].name
            say(f"{picture.name} {case.label}: {guess} chosen, {best} is best")
    hits = {score: hit_rate(found, score) for score in _SCORES}
    hits |= {f"score, {p:.0%} sure": hit_rate(pictures, "score") for p, pictures in certain.items()}
    return {
        "missing": methods.missing,
        "failures": failures,
        "methods": [each.name for each in methods.found if not each.renders_only],
        "verdict": hits["score"].in_words(len(found)) if hits["score"] else NOTHING,
        "hits": {score: asdict(rate) for score, rate in hits.items() if rate},
        "pictures": [
            {"group": group, "lines": [line.document(n) for n, line in enumerate(lines, 1)]}
            for group, lines in found
        ],
    }


_SCORES: dict[str, Callable[[Scores], float | None]] = {
    "score": attrgetter("error"),
    **{name: attrgetter(name) for name in ("renoised", "distance", "sure", "masked", "whiteness")},
}


def hit_rate(found: Sequence[tuple[str, Sequence[Candidate]]], score: str) -> Hits | None:
    """How well one of the scores ranks; None where it could be had nowhere.

    The untouched picture has no whiteness: it is left out where a score is missing for it.
    """
    best, right, pairs, lost, pictures = 0, 0, 0, 0.0, 0
    for _, lines in found:
        known = [
            (value, line) for line in lines if (value := _SCORES[score](line.scores)) is not None
        ]
        if len(known) < 2:
            continue
        pictures += 1
        guess = min(known, key=lambda each: each[0])[1]
        truth = min((line for _, line in known), key=lambda line: line.truth or 0.0)
        best += guess is truth
        lost += (psnr(truth.truth) or 0.0) - (psnr(guess.truth) or 0.0)
        for (value, line), (other, rival) in itertools.combinations(known, 2):
            pairs += 1
            right += (value < other) == ((line.truth or 0.0) < (rival.truth or 0.0))
    return Hits(pictures, best / pictures, right / pairs, lost / pictures) if pictures else None
