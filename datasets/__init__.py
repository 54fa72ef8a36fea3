"""Episodes on disk: schema, storage, collection and loading."""
