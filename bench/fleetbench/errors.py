"""The one exception whose text is meant for the user."""


class BenchError(Exception):
    """What was tried and why it failed. Printed as `bench: TEXT`; the exit status is 1."""
