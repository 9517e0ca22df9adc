"""Averages the weights of two trainings of one net, of which the second went on from the first.

    python -m mdn.training.average runs/first runs/second --share 0.5 -o runs/between

What the second has learnt and what the first knew before can both be had between the two (Wortsman
et al., "Robust fine-tuning of zero-shot models", CVPR 2022, section 3).
"""

import argparse
import tomllib
from pathlib import Path

import tomli_w
import torch
from torch import Tensor

from mdn.errors import UsageError, plain_errors
from mdn.io.atomic import write_bytes
from mdn.registry import store
from mdn.registry.cards import CARD, WEIGHTS, read_card
from mdn.registry.model import load, save_weights

State = dict[str, Tensor]


def between(first: State, second: State, share: float) -> State:
    """Each number `share` of the way from the first to the second.

    Raises UsageError: they are of different nets.
    """
    if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in second.items()}:
        raise UsageError("the weights of different nets have no average")
    return {
        key: first[key].lerp(value, share) if value.is_floating_point() else value
        for key, value in second.items()
    }


def average(first: Path, second: Path, share: float, out: Path) -> None:
    """Writes weights, and the card of the second without its scores, into a folder.

    Args:
        first, second: folders of models.
        share: 0 for the weights of the first, 1 for those of the second.

    Raises ModelError: one of them holds no model. UsageError: they are of different nets.
    """
    cpu = torch.device("cpu")
    cards = [read_card(folder, "a run") for folder in (first, second)]
    nets = [load(card, cpu) for card in cards]
    state = between(nets[0].state_dict(), nets[1].state_dict(), share)
    out.mkdir(parents=True, exist_ok=True)
    weights = out / WEIGHTS
    save_weights(weights, nets[1], cards[1].arch, state)
    table = tomllib.loads((second / CARD).read_text(encoding="utf-8"))
    table.pop("scores", None)
    table |= {"weights": weights.name, "sha256": store.digest(weights)}
    write_bytes(out / CARD, tomli_w.dumps(table).encode())


@plain_errors()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, required=True, help="of the second, 0 to 1")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    average(options.first, options.second, options.share, options.out)


if __name__ == "__main__":
    main()
