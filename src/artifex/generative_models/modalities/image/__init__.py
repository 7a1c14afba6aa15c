"""Images: what they mean, and how they are made ready for a model."""
