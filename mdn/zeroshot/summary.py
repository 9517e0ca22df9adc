"""What a fit is said to have seen, fitted and gained."""

from __future__ import annotations

from collections.abc import Sequence

from mdn.noise.analysis.estimate import NoiseEstimate
from mdn.zeroshot.fit import Fit
from mdn.zeroshot.noise_fit import NoiseFit
from mdn.zeroshot.plan import CLEAN

ENDED = {
    "done": "completed",
    "settled": "stopped early, as the error no longer fell",
    "time": "stopped by the time limit",
    "interrupted": "interrupted",
}
NO_NOISE = "no noise"
KNOWN = "nothing: no noise was found that mdn denoise does not know"
CLEAN_ALREADY = "nothing, as mdn denoise finds no noise"
REFUSED = "; no layers, as neighbours share the noise, which hidden samples cannot judge"
AVERAGED = "nothing; the mean of eight flips and rotations is taken"
USUALLY = "0 to 0.15 dB over mdn denoise on other such pictures, not measured here"


def summarise(
    found: NoiseFit,
    fits: Sequence[Fit],
    seen: str,
    *,
    given: bool,
    averages: bool = False,
    refused: bool = False,
) -> dict[str, object]:
    """Facts for --json, and in "summary" three lines for people.

    Args:
        found: of the noise, on the first page.
        fits: of the layers, page by page.
        seen: the noise in words.
        given: whether the fit is that of another picture.
        refused: whether layers were not fitted, as neighbours share the noise.
        averages: whether the result is the mean over flips and rotations, without a fit of layers.
    """
    words, seconds = found.in_words(), found.seconds + sum(each.seconds for each in fits)
    facts: dict[str, object] = {
        "steps": sum(each.steps for each in fits),
        "fitted": words,
        "gain": round(found.gain, 2),
        "fit_seconds": round(seconds, 3),
    }
    gained = [f"about {found.gain:+.1f} dB, estimated, in {found.seconds:.1f} s"]
    if found.counts and given:
        gained = ["not measured again, the fit was given"]
    if not words:
        took = f", known after {found.seconds:.1f} s" if found.seconds else ""
        gained = [f"same result as mdn denoise{took}"]
    if fits:
        first, last = fits[0], fits[-1]
        helped = last.after < first.before
        gained = gained if words else []
        gained += [
            f"error on hidden samples {first.before:.4f} -> {last.after:.4f}"
            + ("" if helped else "; not surely less, so not used"),
            f"{ENDED[last.ended]} after {seconds:.0f} s",
        ]
        back = "" if helped else ", and put back"
        words = [*words, f"layers of the net, {facts['steps']} steps{back}"]
        facts |= {
            "ended": last.ended,
            "error_before": round(first.before, 6),
            "error_after": round(last.after, 6),
        }
    if averages and not words and not fits:
        gained = [USUALLY]
    nothing = CLEAN_ALREADY if seen == NO_NOISE else AVERAGED if averages else KNOWN
    facts["summary"] = [
        f"seen: {seen}",
        f"fitted: {', '.join(words) or nothing}{REFUSED if refused else ''}",
        f"gained: {'; '.join(gained)}",
    ]
    return facts


def level_in_words(estimate: NoiseEstimate | None, *, counts: bool) -> str:
    """The noise of a model that was told no more of it; counts: whether it is measured light."""
    level = 0.0 if estimate is None else estimate.sigma
    words = f"sigma {255 * level:.1f}" if level >= CLEAN else NO_NOISE
    return f"counted light, {words} after its own curve" if counts else words
