"""Gymnasium environments: real worlds, dream worlds and wrappers."""
