"""stomp.py, a client of another language, over WebSockets in every version of STOMP.

Starts one backend: ALBEIT_BACKEND_BIN, else that of cargo's target directory.
"""

import json
import os
import pathlib
import queue
import re
import subprocess
import unittest

from stomp.adapter.ws import WSTransport
from stomp.connect import BaseConnection
from stomp.listener import ConnectionListener
from stomp.protocol import Protocol10, Protocol11, Protocol12

SOON = 20
WORKSPACE = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target"))
BACKEND = os.environ.get("ALBEIT_BACKEND_BIN", str(TARGET / "debug" / "albeit-backend"))

PROTOCOLS = {"1.0": Protocol10, "1.1": Protocol11, "1.2": Protocol12}


def setUpModule():
    global backend, address
    args = [BACKEND, "--port", "0", "--address", "127.0.0.1", "--instance", "b1", "--drain", "1s"]
    environment = {**os.environ, "NO_COLOR": "1"}
    backend = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    for line in backend.stdout:
        if found := re.search(r"listening .*address=([\d.]+):(\d+)", line):
            address = (found[1], int(found[2]))
            return
    raise RuntimeError(f"{BACKEND} ended with {backend.wait()}")


def tearDownModule():
    backend.kill()
    backend.communicate()


class Heard(ConnectionListener):
    """Frames of the server, each kind in its queue."""

    def __init__(self):
        self.connected, self.messages, self.receipts, self.errors, self.ends = (queue.Queue() for _ in range(5))

    def on_connected(self, frame):
        self.connected.put(frame)

    def on_message(self, frame):
        self.messages.put(frame)

    def on_receipt(self, frame):
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame):
        self.errors.put(frame)

    def on_disconnected(self):
        self.ends.put(True)


class StompClient(unittest.TestCase):
    def connect(self, version):
        protocol = PROTOCOLS[version]

        class Connection(BaseConnection, protocol):
            """Of these stomp.py has only that of 1.2 ready made."""

            disconnect = protocol.disconnect

            def __init__(self, transport, **options):
                BaseConnection.__init__(self, transport)
                protocol.__init__(self, transport, **options)

        transport = WSTransport([address], ws_path="/ws", reconnect_attempts_max=1)
        connection = Connection(transport, **({} if version == "1.0" else {"heartbeats": (1000, 1000)}))
        heard = Heard()
        connection.set_listener("heard", heard)
        transport.start()
        connection.connect(wait=False)
        frame = heard.connected.get(timeout=SOON)
        self.assertEqual(frame.headers.get("version", "1.0"), version)
        return connection, heard

    @staticmethod
    def leave(connection, heard):
        """Says goodbye, since stomp.py reads until the server closes."""
        if connection.is_connected():
            connection.disconnect(receipt="leave")
            heard.ends.get(timeout=SOON)

    def each_version(self, check):
        for version in PROTOCOLS:
            with self.subTest(version=version):
                connection, heard = self.connect(version)
                try:
                    check(version, connection, heard)
                finally:
                    self.leave(connection, heard)

    def test_a_message_comes_back_as_it_was_sent(self):
        texts = ["plain", 'quotes " and \\ and \n', "caf\u00e9 \U0001fad6", "x" * 30_000]

        def check(version, connection, heard):
            room = f"python-{version.replace('.', '-')}"
            connection.subscribe(f"/topic/room.{room}", id="1", ack="auto")
            for text in texts:
                body = json.dumps({"text": text, "from": "py"}, ensure_ascii=False)
                connection.send(f"/app/room.{room}", body, content_type="application/json", receipt="sent")
                self.assertEqual(heard.receipts.get(timeout=SOON), "sent")
                frame = heard.messages.get(timeout=SOON)
                self.assertEqual(json.loads(frame.body)["text"], text)
                self.assertEqual(frame.headers["destination"], f"/topic/room.{room}")

        self.each_version(check)

    def test_a_transaction_is_processed_at_its_commit(self):
        def check(version, connection, heard):
            connection.subscribe("/topic/auction.python", id="1")
            aborted = connection.begin()
            connection.send("/app/bid.python", '{"amount":1}', transaction=aborted)
            connection.abort(aborted)
            committed = connection.begin()
            connection.send("/app/bid.python", '{"amount":2}', transaction=committed)
            connection.commit(committed)
            self.assertEqual(json.loads(heard.messages.get(timeout=SOON).body)["amount"], 2)
            connection.unsubscribe("1")

        self.each_version(check)

    def test_a_message_is_acknowledged_one_by_one(self):
        def check(version, connection, heard):
            if version == "1.0":
                return
            connection.subscribe("/topic/room.acknowledged", id="1", ack="client-individual")
            connection.send("/app/room.acknowledged", "again")
            headers = heard.messages.get(timeout=SOON).headers
            name = lambda headers: (headers["ack"],) if version == "1.2" else (headers["message-id"], "1")
            connection.nack(*name(headers))
            headers = heard.messages.get(timeout=SOON).headers
            self.assertEqual(headers["redelivered"], "true")
            connection.ack(*name(headers), receipt="done")
            self.assertEqual(heard.receipts.get(timeout=SOON), "done")

        self.each_version(check)

    def test_a_fault_is_an_error_and_the_end(self):
        def check(version, connection, heard):
            connection.send("/app/nowhere", "lost", receipt="faulty")
            error = heard.errors.get(timeout=SOON)
            self.assertEqual(error.headers["message"], "unknown destination")
            self.assertEqual(error.headers["receipt-id"], "faulty")
            self.assertTrue(heard.ends.get(timeout=SOON))

        self.each_version(check)


if __name__ == "__main__":
    unittest.main()
