"""Fitting to one picture: what is told of its noise, and layers of the model."""
