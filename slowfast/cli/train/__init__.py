"""Train a codec or a slow learner on recorded clips."""
