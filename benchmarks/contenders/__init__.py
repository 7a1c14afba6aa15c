"""One file for each who takes part; a peer is imported within the functions that need it."""
