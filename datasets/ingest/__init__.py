"""Other people's action-annotated clips as our episodes.

A reader (``readers/``) opens one format and gives :class:`~slowfast.datasets.ingest.recording.Recording` after
recording; :func:`~slowfast.datasets.ingest.pipeline.ingest` decodes them, brings them to one frame rate and one
size, and writes episodes. A new format is one file in ``readers/`` and one entry in ``formats.FORMATS``.
"""
