"""Many files: which becomes which, how it went, what is written."""
