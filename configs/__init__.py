"""Recipes: one YAML file each, read by name through `slowfast.config`."""
