import os
import pickle
import socket
import struct
import time


class Group:
    def __init__(self):
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.seq = 0
        self.early = {}  # frames that came before we asked for them
        path = os.path.join(os.environ["RDZV"], "{}.sock")
        srv = socket.socket(socket.AF_UNIX)
        srv.bind(path.format(self.rank))
        srv.listen(1)
        self.right = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.right.connect(path.format((self.rank + 1) % self.world))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                time.sleep(0.02)
        self.left, _ = srv.accept()
        srv.close()

    def _send(self, tag, x):
        blob = pickle.dumps((tag, x))
        self.right.sendall(struct.pack("!I", len(blob)) + blob)

    def _read(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.left.recv(n - len(data))
            if not part:
                raise ConnectionError("left neighbour closed")
            data += part
        return data

    def _recv(self, tag):
        while tag not in self.early:
            (n,) = struct.unpack("!I", self._read(4))
            got, x = pickle.loads(self._read(n))
            self.early[got] = x
        return self.early.pop(tag)

    def all_reduce(self, x):
        self.seq += 1
        total, piece = x.copy(), x
        for hop in range(self.world - 1):
            self._send(("all_reduce", self.seq, hop), piece)
            piece = self._recv(("all_reduce", self.seq, hop))
            total = total + piece
        return total

    def broadcast(self, x, root=0):
        self.seq += 1
        tag = ("broadcast", self.seq, root)
        if self.rank != root:
            x = self._recv(tag)
        if (self.rank + 1) % self.world != root:
            self._send(tag, x)
        return x
