"""Loads one model and prints its properties as JSON."""
import json
import pathlib
import sys

name = sys.argv[1]
config = json.loads(pathlib.Path("models", f"{name}.json").read_text())
if config.get("auto_map"):
    print(f"The repository for {name} contains custom code which must be executed to load the model.", file=sys.stderr)
    print("Do you wish to run the custom code? [y/N] ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if answer.strip().lower() not in ("y", "yes"):
        sys.exit(f"{name}: not allowed to run its code")
print(json.dumps({"name": name, "parameters": config["layers"] * config["hidden"] ** 2 * 12}))
