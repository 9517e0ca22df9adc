"""mdn: a denoiser for photos, 16-bit microscopy and Monte Carlo renders."""

__version__ = "0.1.0"
