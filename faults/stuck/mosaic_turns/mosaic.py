"""Colours mosaic tiles in helper processes and gathers the results."""
import multiprocessing as mp

PALETTE = {0: "sand", 1: "moss", 2: "slate"}


def colour(inbox, outbox) -> None:
    while (tile := inbox.get()) is not None:
        outbox.put((tile, PALETTE[tile % 4]))


def main() -> None:
    inbox, outbox = mp.Queue(), mp.Queue()
    helpers = [mp.Process(target=colour, args=(inbox, outbox)) for _ in range(2)]
    for helper in helpers:
        helper.start()
    for tile in range(12):
        inbox.put(tile)
    for _ in range(12):
        tile, name = outbox.get()
        print(f"tile {tile}: {name}")
    for _ in helpers:
        inbox.put(None)
    for helper in helpers:
        helper.join()


if __name__ == "__main__":
    main()
