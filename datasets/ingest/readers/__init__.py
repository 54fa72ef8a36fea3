"""One file a format; ``slowfast.datasets.ingest.formats`` lists them."""
