"""The models that mdn knows: cards, folders, and loading. `load` alone needs torch."""
