"""python -m benchmarks: train eight networks in d2l's way and in ours, and compare.

Results land in benchmarks/results/, tables and plot in benchmarks/README.md. A run that
was interrupted goes on where it stopped. All networks take some hours on two CPU cores,
LeNet ten minutes; nothing else should run meanwhile.
"""

import argparse
import itertools
from functools import partial

from tqdm import tqdm

from benchmarks import report
from benchmarks.networks import NETWORKS
from cnnlib import experiments


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=NETWORKS,
        help=f"some of {', '.join(NETWORKS)}",
        default=list(NETWORKS),
    )
    parser.add_argument(
        "--report", action="store_true", help="only write the tables and the plot"
    )
    options = parser.parse_args()
    if not options.report:
        from benchmarks import measure  # needs d2l

        for job in itertools.chain.from_iterable(map(measure.jobs, options.only)):
            bar = partial(tqdm, desc=job.name)
            print(experiments.complete(job, report.RESULTS, bar))
    report.write()


if __name__ == "__main__":
    main()
