"""Noises that no model is trained on: what a denoiser does with them is what it does in the wild.

Kinds of `mdn noise` like all others, but marked `held_out`: a training recipe that names one is
refused, and `mdn bench --noise unknown` measures on all of them.
"""
