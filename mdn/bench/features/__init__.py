"""What goes on inside of a net: its features, compared."""
