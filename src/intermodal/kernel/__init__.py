"""Ways of computing attention that are quicker where they serve, and mean the same."""
