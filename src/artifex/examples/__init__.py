"""Programs to copy from, and the demo that is made of them."""
