"""TIFF: pictures and stacks, read, written anew and rewritten in place."""
