"""A Python module of the program."""


class Missing(Exception):
    pass


def double(n: int) -> int:
    return 2 * n
