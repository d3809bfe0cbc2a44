"""What an experiment is made of: its values and parameters, and the handle itself."""
