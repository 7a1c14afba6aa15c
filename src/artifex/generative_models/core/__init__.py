"""What every modality shares: configuration."""
