import hashlib
import time


def digest(page):
    state = b"page %d" % page
    for _ in range(60000):
        state = hashlib.sha256(state).digest()
    return state.hex()


for page in range(2000):
    print("page", page, digest(page)[:12])
    time.sleep(0.01)
