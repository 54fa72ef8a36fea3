"""Train a codec, a slow learner or an odometry on recorded clips."""
