"""What each command does to its files: a frozen request in, outcomes out."""
