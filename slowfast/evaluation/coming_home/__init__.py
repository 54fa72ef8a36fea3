"""Coming home: walk away in a real world, then plan the way back to the first view in a dream, and walk it for real."""
