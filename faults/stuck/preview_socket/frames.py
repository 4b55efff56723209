import socket
import struct
import threading


class FrameReader(threading.Thread):
    """Reads binary frames and hands each to a callback."""

    def __init__(self, port, deliver):
        super().__init__(name="frames")
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.deliver = deliver

    def handshake(self):
        self.connection.sendall(b"GET /ws?clientId=7 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        return head.split(b"\r\n")[0]

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            if not part:
                raise ConnectionError("the backend closed the connection")
            data += part
        return data

    def run(self):
        self.handshake()
        while True:
            opcode, length = struct.unpack(">BB", self.read(2))
            if length == 126:
                (length,) = struct.unpack(">H", self.read(2))
            self.deliver(opcode & 15, self.read(length))
