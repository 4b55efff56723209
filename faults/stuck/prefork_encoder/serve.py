"""Encodes the prompts of a file in several worker processes that share the loaded model."""
import logging
import os
import sys
import tempfile

import encoder

PROMPTS = [f"prompt number {n}" for n in range(12)]
logging.basicConfig(level=logging.INFO, format="%(process)d %(message)s")
log = logging.getLogger("serve")


class Worker:
    def __init__(self, number, prompts, folder):
        self.number = number
        self.prompts = prompts
        self.path = os.path.join(folder, f"part-{number}.txt")
        self.pid = None

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                self.work()
                code = 0
            except Exception:
                log.exception("worker %d", self.number)
            finally:
                os._exit(code)

    def work(self):
        with open(self.path, "w") as part:
            for prompt in self.prompts:
                part.write(f"{encoder.encode(prompt)} {prompt}\n")
        log.info("worker %d wrote %d codes", self.number, len(self.prompts))

    def wait(self):
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


def main(count=2):
    encoder.warm_up()
    log.info("model is warm")
    with tempfile.TemporaryDirectory() as folder:
        workers = [Worker(n, PROMPTS[n::count], folder) for n in range(count)]
        for worker in workers:
            worker.start()
        codes = [worker.wait() for worker in workers]
        lines = sum(len(open(worker.path).read().splitlines()) for worker in workers)
    log.info("%d prompts, exit codes %s", lines, codes)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
