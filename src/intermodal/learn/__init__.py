"""Fit, predict, compare: where the spec meets samples."""
