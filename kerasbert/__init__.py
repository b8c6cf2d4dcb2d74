"""Relation extraction with BERT on TensorFlow 2: text in, scored triples out."""
