"""How well policies do in the real simulator, in worlds that they have never seen."""
