import subprocess
import sys

CHILD = "import time\nfor n in range(50):\n    print(n, flush=True)\n    time.sleep(0.2)"
subprocess.run([sys.executable, "-c", CHILD], stdout=subprocess.DEVNULL, timeout=2, check=True)
