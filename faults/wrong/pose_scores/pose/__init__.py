"""Scores poses of a clip."""
