"""Fitting to one picture: a few numbers that describe its noise, and layers of the model."""
