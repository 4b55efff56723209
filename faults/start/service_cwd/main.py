import subprocess
import sys

subprocess.run([sys.executable, "-c", "print(1)"], cwd="checkpoints/run7", check=True)
