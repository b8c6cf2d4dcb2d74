"""A page for people: how good a model is, where it errs, and whether another one is better."""
