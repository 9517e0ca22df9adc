"""Zarr and OME-Zarr stores: stacks in folders."""
