"""Runs a converter with a time limit."""
import subprocess
import sys

CONVERTER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, '-c', 'import time\\ntime.sleep(200)'], start_new_session=True)
time.sleep(60)
"""
converter = subprocess.Popen([sys.executable, "-c", CONVERTER], stdout=subprocess.PIPE)
try:
    output, _ = converter.communicate(timeout=1)
except subprocess.TimeoutExpired:
    converter.kill()
    output, _ = converter.communicate()
print(len(output))
