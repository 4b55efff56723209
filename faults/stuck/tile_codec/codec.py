"""Binding of the tile decoder; the library is built beside this file when it is not there."""
import ctypes
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


class TileCodec:
    def __init__(self, tile_size=4096):
        library = HERE / "libtiles.so"
        if not library.exists():
            subprocess.run(
                ["cc", "-O2", "-shared", "-fPIC", "-pthread", "-o", str(library), str(HERE / "tiles.c")],
                check=True,
            )
        self.lib = ctypes.CDLL(str(library))
        self.lib.tile_decode.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
        self.tile_size = tile_size

    def decode(self, data):
        output = ctypes.create_string_buffer(len(data))
        tiles = self.lib.tile_decode(data, output, len(data), self.tile_size)
        return tiles, output.raw
