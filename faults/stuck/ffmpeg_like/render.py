"""Starts an encoder and asks from time to time whether it is done."""
import subprocess
import sys
import time

encoder = subprocess.Popen([sys.executable, "encode.py"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
while encoder.poll() is None:
    time.sleep(0.25)
print("encoded", encoder.returncode)
