import subprocess
import sys

subprocess.run([sys.executable, "job.py"], check=True)
