"""A trained model for others to run: export as a SavedModel, and a server that speaks TensorFlow Serving's REST."""
