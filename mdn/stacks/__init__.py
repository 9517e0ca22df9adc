"""Stacks from microscopes: planes, calibration over the whole stack, bands of rows."""
