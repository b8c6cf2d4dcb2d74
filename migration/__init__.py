"""What comes from elsewhere: TF1 checkpoints, legacy files and commands. Imports kerasbert, never the reverse."""
