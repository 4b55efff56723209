import ctypes
import os
import subprocess

SCORE = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int, ctypes.c_int)


class BeamDecoder:
    def __init__(self, workdir):
        so = os.path.join(workdir, "_beam.so")
        src = os.path.join(os.path.dirname(os.path.abspath(__file__)), "beam.c")
        subprocess.check_call(["cc", "-shared", "-fPIC", "-O1", src, "-o", so, "-lpthread"])
        self._lib = ctypes.PyDLL(so)
        self._lib.beam_decode.argtypes = [SCORE, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int32)]

    def decode(self, scorer, depths, vocab):
        path = (ctypes.c_int32 * depths)()
        n = self._lib.beam_decode(SCORE(scorer), depths, vocab, path)
        if n < 0:
            raise RuntimeError(f"beam_decode returned {n}")
        return list(path)
