"""What happens to one array."""
