"""A page in the browser on which one sees what a model finds in a text."""
