"""python -m cnnlib.experiments [NAME ...]: run the long experiments (default: all)."""

import argparse
from functools import partial

from tqdm import tqdm

from cnnlib import experiments


def main():
    parser = argparse.ArgumentParser(prog="cnnlib.experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments to run")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes at a time (1)"
    )
    parser.add_argument("--list", action="store_true", help="list them and stop")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: at least one process makes the rows.")
    known = experiments.names()
    if options.list:
        print(*known, sep="\n")
        return
    try:
        jobs = [experiments.find(name) for name in options.names or known]
    except ValueError as problem:
        parser.error(str(problem))
    for job in jobs:
        bar = partial(tqdm, desc=job.name)
        path = experiments.complete(job, progress=bar, jobs=options.jobs)
        print(f"{job.name}: {path}")


if __name__ == "__main__":
    main()
