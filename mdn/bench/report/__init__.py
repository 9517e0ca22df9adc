"""What a benchmark writes: tables, figures, pages."""
