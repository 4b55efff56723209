import socket
import struct

import numpy as np

MTU_DROP = 23  # the radio link loses this one


def serve(conn):
    rng = np.random.default_rng(0)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    conn.send(s.getsockname()[1])
    while True:
        data, peer = s.recvfrom(64)
        magic, seq = struct.unpack("!4sI", data)
        if magic != b"SWEP" or seq == MTU_DROP:
            continue
        pts = rng.random((1200, 3), dtype=np.float32)
        pts[:, 2] *= 0.05
        s.sendto(pts.tobytes(), peer)
