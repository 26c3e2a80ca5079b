# SPDX-License-Identifier: BSD-3-Clause
"""What the loads of servers in the working directory have in common."""
import os
import socket
import sys
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connected(process, client, port):
    """A client of the server, as soon as it accepts one; None if the server ends first."""
    for _ in range(3000):
        if process.poll() is not None:
            return None
        try:
            return client(port)
        except (ConnectionError, TimeoutError):
            time.sleep(0.01)
    sys.exit("the server accepts no client")


def acknowledged():
    """The largest number that the workload had printed."""
    with open(os.environ["SOFTPMEM_ACKNOWLEDGED"]) as lines:
        return max([0] + [int(line) for line in lines])
