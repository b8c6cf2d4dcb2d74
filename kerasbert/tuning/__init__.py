"""Searches over the settings of a training, on keras-tuner."""
