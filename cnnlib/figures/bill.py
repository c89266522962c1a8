"""The bill of any network: typed stage by stage, added up while one types."""

from pathlib import Path

import yaml

from cnnlib import costs, models
from cnnlib.figures.figure import Figure

NETWORKS = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text("utf-8"))


def bill(network="googlenet"):
    """A `Figure` that counts parameters, MACs and receptive fields of what one types.

    It begins with `network`, one of `NETWORKS`. Its still form is the table that
    `cnnlib.costs` makes of the same network; the figure itself counts in JavaScript,
    by the same conventions. Raises ValueError for another name.
    """
    if network not in NETWORKS:
        raise ValueError(f"no bill of {network!r}: choose from {list(NETWORKS)}.")
    table = costs.table(models.build(network), models.find(network).input_shape)
    still = f"<p>The bill of {network}:</p>{table._repr_html_()}"
    data = {"networks": NETWORKS, "chosen": network}
    return Figure(
        "bill", still, data, f"The bill of {network}, to change as you like.", ["share"]
    )
