import json
import os
import sys
import time

import numpy as np

path = sys.argv[1]


def write(**s):
    with open(path + ".tmp", "w") as f:
        json.dump(s, f)
    os.replace(path + ".tmp", path)


write(status="running")
x = np.eye(200)
end = time.time() + 9
while time.time() < end:
    x = np.tanh(x @ x.T + 0.01)
    time.sleep(0.05)
write(status="done", result=round(float(x.sum()), 1))
