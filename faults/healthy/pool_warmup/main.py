import time
from concurrent.futures import ThreadPoolExecutor

with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: time.sleep(0.1), range(16)))
    time.sleep(5)
    print(sum(pool.map(lambda n: n, range(8))))
