"""The models that mdn knows: cards, folders, and loading. `model` alone needs torch."""
