"""A detector that writes what it found to a line-based file."""
