"""Formats of photos, a module each."""
