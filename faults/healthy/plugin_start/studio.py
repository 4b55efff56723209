import argparse
import importlib
import time


class Studio:
    def __init__(self, names):
        started = time.monotonic()
        self.plugins = {name: importlib.import_module(f"plugins.{name}") for name in names}
        self.seconds = time.monotonic() - started

    def report(self):
        for name, plugin in self.plugins.items():
            print(f"{name}: {plugin.count()} entries")
        print(f"{len(self.plugins)} plugins in {self.seconds:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--plugins", nargs="+", default=[])
    Studio(parser.parse_args().plugins).report()
