"""Shared code of the book "Convolutional networks, executed".

Small modules by subject: `data`, `folder`, `costs`, `fields`, `train`, `init`,
`claims`, `plots`, `gradients`, `experiments` and one file per architecture under
`models`.
"""

__version__ = "0.1.0"


def measured(value, spec=""):
    """`value` as text between the brackets that mark a measured number.

    What stands between these brackets depends on the machine and on training, so the
    tests of the book do not compare it; everything outside them must reproduce exactly.

    >>> measured(0.87314, ".3f")
    '⟨0.873⟩'
    """
    return f"⟨{value:{spec}}⟩"
