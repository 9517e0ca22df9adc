"""The models of one run: which is for what, each loaded when the first picture needs it."""

from dataclasses import replace
from threading import Lock

from mdn import nets
from mdn.engine.device import choose_device, choose_precision
from mdn.errors import UsageError
from mdn.pipeline.options import Options
from mdn.registry import store
from mdn.registry.cards import Card
from mdn.registry.model import Model, load_model
from mdn.registry.store import USUAL, ModelSelection


class Models:
    """The model that the user named, or those of a quality: one for each domain of values.

    Attributes:
        device: where they are.

    Args:
        name: a model's name, or the path of a model folder; None for those of the quality.
        quality: fast, balanced or best, where no model is named.
        device: auto, or as `engine.choose_device` names them.
        options: of the pipeline, with all models.
        passes: in place of the options'; None for as many as the quality needs.
        with_std: whether the deviation between passes is wanted.
        may_fill: whether models that only fill masks will do, since they are to be fitted.

    Raises:
        UsageError: a model that denoises nothing, or a device that is not there.
        ModelError: no such model.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        quality: str = USUAL,
        device: str = "auto",
        options: Options | None = None,
        passes: int | None = None,
        with_std: bool = False,
        may_fill: bool = False,
    ) -> None:
        self._name, self._quality = name, quality
        self._passes, self._with_std = passes, with_std
        self.device = choose_device(device)
        self._options = options or Options()
        self._may_fill = may_fill
        self._selections: dict[str, ModelSelection] = {}
        self._cards: dict[str, Card] = {}
        self._loaded: dict[str, Model] = {}
        self._loading = Lock()
        self._notices: list[str] = []
        choose_precision(self._options.precision, self.device, self.card().precisions)
        self.options()

    @property
    def named(self) -> bool:
        """Whether the user named a model, which then is taken for all domains."""
        return self._name is not None

    def selection(self, domain: str = "display") -> ModelSelection:
        """What is chosen for values of a domain: display, counts or hdr; looked up once."""
        if domain not in self._selections:
            named = None if self._name is None else ModelSelection(self._name)
            self._selections[domain] = named or store.choose(self._quality, domain)
        return self._selections[domain]

    def card(self, domain: str = "display") -> Card:
        """The card of the model for a domain, read once; nothing is loaded."""
        if domain in self._cards:
            return self._cards[domain]
        card = store.find(self.selection(domain).model)
        if nets.ARCHITECTURES[card.arch].purpose == "fill" and not self._may_fill:
            raise UsageError(
                f"--model {card.name}: only rebuilds hidden pixels; to denoise with it, use"
                f" mdn zeroshot -m {card.name}"
            )
        self._cards[domain] = card
        return card

    @staticmethod
    def _of_renders(card: Card) -> bool:
        return nets.ARCHITECTURES[card.arch].purpose == "renders"

    def options(self, domain: str = "display") -> Options:
        """The options with the model for a domain, their passes settled."""
        passes = self.selection(domain).passes if self._passes is None else self._passes
        return replace(self._options, passes=passes, with_std=self._with_std)

    def load(self, domain: str = "display") -> Model:
        """The model for a domain, on the device; loaded once. Raises ModelError: it is damaged."""
        card = self.card(domain)
        if domain != "hdr" and self._of_renders(card):
            raise UsageError(f"--model {card.name}: only denoises renders, which are OpenEXR files")
        with self._loading:
            if card.name not in self._loaded:
                self._loaded[card.name] = load_model(card, self.device)
                if note := self.selection(domain).note:
                    self._notices.append(note)
        return self._loaded[card.name]

    def check(self) -> None:
        """Raises UsageError for options that make no sense with the model for pictures."""
        options = self.options()
        if options.needs_check:
            options.check(self.load("hdr" if self._of_renders(self.card()) else "display"))

    def notices(self) -> list[str]:
        """What is to be said of the choice of models that were loaded since the last call."""
        found, self._notices = self._notices, []
        return found
