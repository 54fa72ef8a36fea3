"""What is wrong with a data set, before a training run finds out.

:func:`~slowfast.datasets.doctor.examine.examine` streams every episode once past all checks. A check is one class in
``checks/`` and one line in ``checks.CHECKS``: it looks at a clip at a time, and may conclude when it has seen them
all. What it needs of the pictures is measured once for all checks (``look.py``).
"""
