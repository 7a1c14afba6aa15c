"""Data for generative models in JAX: what samples mean, modality by modality."""
