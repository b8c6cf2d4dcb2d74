"""The notebooks, and what runs them from top to bottom."""
