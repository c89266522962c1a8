"""Shared code of the book "Convolutional networks, executed".

Small modules by subject: `data`, `folder`, `costs`, `fields`, `train`, `init`,
`claims`, `plots`, `gradients`, `experiments` and one file per architecture under
`models`.
"""

import re

__version__ = "0.1.0"

# What is no finite number, as Python, NumPy and torch print it; not a part of a word or
# of base64.
NOT_FINITE = re.compile(r"(?<![\w+/])[+-]?(?:nan|inf)(?![\w+/=])", re.IGNORECASE)


def measured(value, spec=""):
    """`value` as text between the brackets that mark a measured number.

    What stands between these brackets depends on the machine and on training, so the
    tests of the book do not compare it; everything outside them must reproduce exactly.
    Raises ValueError for a value that is not finite, which nobody would notice there.

    >>> measured(0.87314, ".3f")
    '⟨0.873⟩'
    """
    text = f"{value:{spec}}"
    if found := NOT_FINITE.search(text):
        raise ValueError(
            f"the measured value is {found[0]}, not a finite number: look for a run "
            "that diverged or a division by zero."
        )
    return f"⟨{text}⟩"
