"""Following words: carry out sub-goals in real rooms by video plans, and measure whether what was done was said."""
