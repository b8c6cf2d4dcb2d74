"""The measured claims: each command prints a table and writes JSON, with a peer timed in the same run."""
