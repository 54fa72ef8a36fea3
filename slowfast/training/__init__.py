"""Training: one generic loop (:class:`Trainer`), and one task a network (the codec, the slow learner)."""
