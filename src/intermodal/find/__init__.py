"""Finding: when it happens, which clip fits, and say it in words."""
