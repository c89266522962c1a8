"""Tests and chapters bring what they need: no network, no data set of this machine.

Python imports a module of this name at every start. With this folder on PYTHONPATH a
process, and every Python that it starts, cannot connect to another machine nor open
what only some machines have, and says so by name.
"""

import os
import socket
import sys
from ipaddress import ip_address
from pathlib import Path

# Data sets: Debian's packages, and what an earlier download left in the home.
FOREIGN = ("/usr/share/datasets/", str(Path.home() / ".cache" / "cnnlib") + os.sep)


class NotSelfContained(RuntimeError):
    """A test or chapter wanted what the clone and its installation do not bring."""


def guard(event, arguments):
    if event == "open" and isinstance(arguments[0], str | bytes):
        path = os.fsdecode(arguments[0])
        if path.startswith(FOREIGN):
            raise NotSelfContained(f"tests and chapters must not read {path}.")
    elif event in ("socket.connect", "socket.sendto"):
        where, address = arguments
        if where.family != socket.AF_UNIX and not is_here(address[0]):
            raise NotSelfContained(f"tests and chapters must not connect to {address}.")
    elif event == "socket.getaddrinfo" and not is_here(arguments[0]):
        raise NotSelfContained(f"tests and chapters must not look up {arguments[0]!r}.")


def is_here(host):
    """Whether a host is this machine: its own name or an address of the loopback."""
    name = os.fsdecode(host or "")
    try:
        return ip_address(name).is_loopback or ip_address(name).is_unspecified
    except ValueError:
        return name in ("", "localhost", socket.gethostname())


sys.addaudithook(guard)
