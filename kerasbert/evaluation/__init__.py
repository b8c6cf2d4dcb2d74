"""How good the triples are."""
