import time


def load(attempt):
    if attempt < 3:
        raise ConnectionError("connection refused")
    return "weights"


for attempt in range(1, 5):
    try:
        print(load(attempt))
        break
    except ConnectionError as error:
        print("retry", attempt, error)
        time.sleep(0.5)
