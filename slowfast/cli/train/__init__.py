"""Train a codec, a slow learner or a head on recorded clips."""
