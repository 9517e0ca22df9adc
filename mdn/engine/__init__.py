"""Runs a net over pictures: devices, precision, tiles, memory."""
