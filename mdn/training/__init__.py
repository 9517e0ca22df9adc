"""Everything that turns a recipe and a folder of clean pictures into weights."""
