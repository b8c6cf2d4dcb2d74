"""From annotated sentences to trained weights."""
