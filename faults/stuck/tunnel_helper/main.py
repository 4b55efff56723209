"""Asks a script for its version; the script leaves a helper behind."""
import subprocess

answer = subprocess.run(["sh", "-c", "setsid sleep 300 & echo 1.4.2"], stdout=subprocess.PIPE, text=True)
print("version", answer.stdout)
