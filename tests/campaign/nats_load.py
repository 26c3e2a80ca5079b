#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A JetStream server in the working directory, for a campaign.

nats_load.py setup         makes a stream on files
nats_load.py write COUNT   publishes COUNT messages, and prints the number of each that is acknowledged
nats_load.py verify        the messages that were acknowledged are there
"""
import json
import os
import socket
import subprocess
import sys

from server import acknowledged, connected, free_port


class Client:
    """The text protocol of NATS, with one reply at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")
        self.file.readline()
        self.send(b'CONNECT {"verbose":false}\r\nSUB reply 1\r\n')

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, subject, payload):
        body = payload.encode()
        self.send(b"PUB %s reply %d\r\n%s\r\n" % (subject.encode(), len(body), body))
        while True:
            line = self.file.readline()
            if not line:
                sys.exit("nats-server has closed the connection")
            if line.startswith(b"PING"):
                self.send(b"PONG\r\n")
            elif line.startswith(b"MSG"):
                length = int(line.split()[-1])
                return json.loads(self.file.read(length + 2))


def start():
    port = free_port()
    server = subprocess.Popen(
        ["nats-server", "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", os.getcwd()],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    client = connected(server, Client, port)
    if not client:
        sys.exit("nats-server does not start")
    return server, client


def main():
    server, client = start()
    status = 0
    if sys.argv[1] == "setup":
        reply = client.ask("$JS.API.STREAM.CREATE.stream",
                           json.dumps({"name": "stream", "subjects": ["subject"], "storage": "file"}))
        status = "error" in reply
    elif sys.argv[1] == "write":
        for number in range(1, int(sys.argv[2]) + 1):
            if client.ask("subject", "message %d" % number).get("seq") != number:
                sys.exit(1)
            print(number, flush=True)
    else:
        wanted = acknowledged()
        state = client.ask("$JS.API.STREAM.INFO.stream", "").get("state", {})
        if state.get("last_seq", 0) < wanted:
            print("message %d was acknowledged, the stream has %d" % (wanted, state.get("last_seq", 0)))
            status = 1
    server.terminate()
    server.wait()
    return status


if __name__ == "__main__":
    sys.exit(main())
