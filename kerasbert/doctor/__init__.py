"""What a directory holds, whether it is whole, and what can be done with it."""
