"""Copies vertices into packed buffers with the C library."""
import array
import ctypes

LIBC = ctypes.CDLL(None)
LIBC.memcpy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
LIBC.memcpy.restype = ctypes.c_void_p
LEAST = 100


def vertices(count: int) -> array.array | None:
    if count < LEAST:
        return None
    return array.array("f", [n / count for n in range(count * 3)])


def pack(meshes, packed) -> None:
    while True:
        number, count = meshes.get()
        size = count * 12
        target = ctypes.create_string_buffer(size)
        source = vertices(count)
        address = source.buffer_info()[0] if source is not None else None
        LIBC.memcpy(target, address, size)
        packed.put((number, len(target.raw)))
