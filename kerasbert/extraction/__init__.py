"""From model scores to triples."""
