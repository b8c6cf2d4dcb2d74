"""Extraction from corpora of any size, on Apache Beam."""
