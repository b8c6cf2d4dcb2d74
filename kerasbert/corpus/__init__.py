"""Annotated sentences and schemas, in and out."""
