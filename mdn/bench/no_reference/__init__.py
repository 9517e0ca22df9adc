"""Rankings without clean pictures."""
