import ctypes


def blit(address):
    ctypes.memmove(address, b"\0" * 4096, 4096)


print("drawing", flush=True)
blit(64)
