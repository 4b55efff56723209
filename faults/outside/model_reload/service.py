"""The service: a worker process holds the model and the socket, this one looks after it."""
import argparse
import subprocess
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--port", required=True)
parser.add_argument("--model", required=True)
args = parser.parse_args()

worker = subprocess.Popen([sys.executable, "worker.py", args.port, args.model])
status = worker.wait()
print(f"worker of {args.model} ended with {status}", file=sys.stderr)
sys.exit(1 if status else 0)
