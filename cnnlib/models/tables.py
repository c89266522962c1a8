"""One sentence instead of a KeyError when a paper's table has no such variant."""


def row(table, variant, name):
    """`table[variant]`; raises ValueError naming the variants of `name` there are."""
    if variant not in table:
        known = ", ".join(map(str, table))
        raise ValueError(f"there is no {name}({variant}): choose from {known}.")
    return table[variant]
