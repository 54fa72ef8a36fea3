"""Episodes of ours in other libraries' formats.

:func:`~slowfast.datasets.export.pipeline.export` reads a folder of episodes one by one and hands them to a writer. A
new format is one file with a class of :class:`~slowfast.datasets.export.pipeline.Writer`'s shape, and one entry in
``formats.EXPORTS``.
"""
