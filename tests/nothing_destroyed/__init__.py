"""Properties that hold for every file, on every route, whatever is in it."""
