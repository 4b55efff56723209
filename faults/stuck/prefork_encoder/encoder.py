import concurrent.futures
import hashlib

_pool = concurrent.futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="encode")


def _encode(text):
    state = text.encode()
    for _ in range(2000):
        state = hashlib.blake2b(state).digest()
    return state[:8].hex()


def encode(text):
    encoding = _pool.submit(_encode, text)
    return encoding.result()


def warm_up():
    for text in ("a", "b"):
        encode(text)
