"""What adds noise: the functions that `mdn/noise/kinds.toml` names."""
