"""Ask the scanner for sweeps over UDP and fit a ground plane to each."""
import multiprocessing as mp
import socket
import struct

import numpy as np

import scanner


class ScannerLink:
    def __init__(self, address):
        self.address = address
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))

    def sweep(self, seq):
        self.sock.sendto(struct.pack("!4sI", b"SWEP", seq), self.address)
        data, _ = self.sock.recvfrom(65535)
        return np.frombuffer(data, dtype=np.float32).reshape(-1, 3)


def ground(points):
    a = np.c_[points[:, :2], np.ones(len(points))]
    coef, *_ = np.linalg.lstsq(a, points[:, 2], rcond=None)
    return coef


def main():
    here, there = mp.Pipe()
    mp.get_context("spawn").Process(target=scanner.serve, args=(there,), daemon=True).start()
    link = ScannerLink(("127.0.0.1", here.recv()))
    for seq in range(40):
        plane = ground(link.sweep(seq))
        if seq % 5 == 0:
            print(f"sweep {seq}: plane {np.round(plane, 3)}", flush=True)
        if seq == 17:
            print("half way", flush=True)


if __name__ == "__main__":
    main()
