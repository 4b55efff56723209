"""Writes illustrated stories: each story asks for its own pictures."""
import logging
import time
from concurrent.futures import ThreadPoolExecutor

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
pool = ThreadPoolExecutor(max_workers=3, thread_name_prefix="studio")


def picture(prompt: str) -> int:
    return sum(ord(letter) * 31 for letter in prompt) % 997


def story(title: str) -> list[int]:
    logging.info("story %s", title)
    time.sleep(0.3)  # fonts
    pages = [pool.submit(picture, f"{title} page {n}") for n in range(4)]
    return [page.result() for page in pages]


def main() -> None:
    logging.info("warm picture: %d", pool.submit(picture, "warm").result())
    stories = [pool.submit(story, t) for t in ("owl", "fox", "hare", "elk")]
    for item in stories:
        logging.info("pages %s", item.result())


if __name__ == "__main__":
    main()
