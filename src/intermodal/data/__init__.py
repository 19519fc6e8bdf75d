"""Samples: reading them, checking them, slicing them, batching them; and the digits that come with the package."""
