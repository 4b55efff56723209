import argparse
import importlib
import logging
import pathlib
import threading

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("server")


def load_nodes(folder="custom_nodes"):
    nodes = {}
    for path in sorted(pathlib.Path(folder).glob("node_pack_*.py")):
        module = importlib.import_module(f"{folder}.{path.stem}")
        nodes.update(module.NODE_CLASS_MAPPINGS)
    return nodes


class Server:
    def __init__(self, nodes):
        self.nodes = nodes
        self.stop = threading.Event()

    def run(self):
        log.info("%d nodes, to see the interface open the page", len(self.nodes))
        self.stop.wait(1.0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", action="store_true")
    options = parser.parse_args()
    server = Server(load_nodes())
    if options.listen:
        server.run()


if __name__ == "__main__":
    main()
