import logging
import random
import threading
import time

from registry import Registry

logging.basicConfig(level=logging.INFO, format="%(threadName)s: %(message)s")
log = logging.getLogger("scenes")


class Job(threading.Thread):
    def __init__(self, name, action, rounds):
        super().__init__(name=name)
        self.action = action
        self.rounds = rounds

    def run(self):
        for number in range(self.rounds):
            time.sleep(random.random() * 0.012)
            self.action(number)
            if number % 25 == 0:
                log.info("round %d", number)
        log.info("finished")


def main(rounds=4000):
    registry = Registry()
    jobs = [
        Job("models", lambda n: registry.swap_model(f"m{n % 7}", n), rounds),
        Job("textures", lambda n: registry.bake_texture(f"m{n % 5}", n), rounds),
        Job("scenes", lambda n: registry.rebuild_scene(f"s{n % 3}"), rounds),
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    log.info("%d models", len(registry.models.items))


if __name__ == "__main__":
    main()
