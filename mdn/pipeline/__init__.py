"""One picture from where it is read to where it goes: `restore` is the algorithm.

`page` is a picture as rows to read and to write, `part` some of its samples with their coding,
noise and model. What is to be done is decided before: `channels` tells counted light from pictures,
`calibration` measures counts, `plan` a picture as it is shown. `hidden` says which samples a net
must not see. The net itself runs in `denoise_tiles`. `linear` is the way of renders.
"""
