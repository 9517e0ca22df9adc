"""What happens to one array: `photo`, `counts` and `linear` read as the algorithm.

Each of their steps is a small file of functions on arrays: `destripe` takes out the offsets of rows
and columns, `judge` estimates the noise (`exact` finds where there can be none, `second_look` helps
a gate in doubt), `specialist` chooses the net for it, `multiscale` takes out the noise that
neighbours share, `denoise_tiles` runs the net (`adapt_channels`, `pixel_shuffle`, `apply_net`,
`restore_grain`, `self_ensemble`), and `blend` mixes its answer with what came in.
"""
