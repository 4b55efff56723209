"""Summarises pages; a thread per page."""
import concurrent.futures
import configparser
import pathlib

import backend
from api import Api

SETTINGS = """
[service]
key = sk-proj-0000000000000000abcd
model = gpt-4o-mini
"""


def summarise(address: str, key: str, model: str, page: str) -> str:
    return Api(address, key).chat(model, f"Summarise: {page}")


def main() -> None:
    settings = configparser.ConfigParser()
    settings.read_string(SETTINGS)
    key, model = settings["service"]["key"], settings["service"]["model"]
    address = backend.start()
    print("models:", *Api(address, key).models(), flush=True)
    pages = pathlib.Path("pages.txt").read_text().splitlines()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(summarise, address, key, model, page) for page in pages]
        for job in concurrent.futures.as_completed(jobs):
            print(job.result())


if __name__ == "__main__":
    main()
