#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A ZooKeeper server in the working directory, for a campaign.

zookeeper_load.py write COUNT [BYTES]   creates COUNT nodes, and prints the number of each that is acknowledged
zookeeper_load.py purge COUNT           the same with a snapshot every few nodes; then keeps the newest three
                                        snapshots and the logs since then, as autopurge does, and creates one
                                        more node
zookeeper_load.py verify [BYTES]        the nodes that were acknowledged are there
"""
import os
import re
import socket
import struct
import subprocess
import sys

from server import acknowledged, connected, free_port

CLASSPATH = "/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"
JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx64m",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-Dzookeeper.jmx.log4j.disable=true",
        "-cp", CLASSPATH]

CREATE, GET_DATA, CLOSE = 1, 4, -11


def text(value):
    data = value.encode()
    return struct.pack(">i", len(data)) + data


class Client:
    """The binary protocol of ZooKeeper, with one request at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        # A server that has just begun to listen forgets some connections.
        self.socket.settimeout(1)
        # Version, last zxid, timeout, session, and a password of 16 bytes.
        self.send(struct.pack(">iqiqi", 0, 0, 30000, 0, 16) + bytes(16))
        self.receive()
        self.socket.settimeout(None)
        self.number = 0

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionResetError("ZooKeeper has closed the connection")
            data += part
        return data

    def receive(self):
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def ask(self, operation, body=b""):
        """The error of the reply, and what follows its header."""
        self.number += 1
        self.send(struct.pack(">ii", self.number, operation) + body)
        reply = self.receive()
        return struct.unpack(">i", reply[12:16])[0], reply[16:]

    def create(self, path, data):
        everybody = struct.pack(">ii", 1, 31) + text("world") + text("anyone")
        return self.ask(CREATE, text(path) + text(data) + everybody + struct.pack(">i", 0))[0] == 0

    def get(self, path):
        error, reply = self.ask(GET_DATA, text(path) + b"\0")
        if error:
            return None
        return reply[4:4 + struct.unpack(">i", reply[:4])[0]].decode()

    def close(self):
        self.ask(CLOSE)
        self.socket.close()


def start(snapshot_every):
    port = free_port()
    # A log is extended by 64 KiB at a time, not by 64 MiB.
    configuration = "\n".join([
        "dataDir=%s/data" % os.getcwd(), "clientPort=%d" % port, "clientPortAddress=127.0.0.1",
        "admin.enableServer=false", "preAllocSize=64", "snapCount=%d" % snapshot_every, ""])
    server = subprocess.Popen(
        JAVA + ["org.apache.zookeeper.server.ZooKeeperServerMain", "/dev/stdin"],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    server.stdin.write(configuration.encode())
    server.stdin.close()
    client = connected(server, Client, port)
    if client:
        return server, client
    log = server.stderr.read().decode().splitlines()
    causes = [line for line in log if re.match("(Caused by: )?[A-Za-z.]+Exception", line)]
    print("ZooKeeper does not start: %s" % (causes or log or ["no reason"])[-1])
    sys.exit(1)


def value(number, size):
    return ("value%d" % number).ljust(size, "x")


def create(client, numbers, size=0):
    for number in numbers:
        if not client.create("/node%d" % number, value(number, size)):
            sys.exit("node %d cannot be created" % number)
        print(number, flush=True)


def purge():
    subprocess.run(JAVA + ["org.apache.zookeeper.server.PurgeTxnLog", "data", "data", "-n", "3"],
                   stdout=subprocess.DEVNULL, check=True)


def verify(client, size):
    for number in range(1, acknowledged() + 1):
        if client.get("/node%d" % number) != value(number, size):
            print("node %d was acknowledged and is lost" % number)
            return 1
    return 0


def main():
    command, numbers = sys.argv[1], [int(word) for word in sys.argv[2:]]
    server, client = start(6 if command == "purge" else 100000)
    status = 0
    if command == "write":
        create(client, range(1, numbers[0] + 1), *numbers[1:])
    elif command == "purge":
        create(client, range(1, numbers[0] + 1))
        purge()
        create(client, [numbers[0] + 1])
    else:
        status = verify(client, *(numbers or [0]))
    client.close()
    server.terminate()
    server.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())
