"""Text as token ids: augmentation, attention masks, losses and sampling on the device."""
