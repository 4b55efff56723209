import contextlib
import threading
import time


class Store:
    def __init__(self, name):
        self.name = name
        self.mutex = threading.RLock()
        self.items = {}


class Registry:
    """Models, textures and scenes; each store has a mutex of its own."""

    def __init__(self):
        self.models, self.textures, self.scenes = Store("models"), Store("textures"), Store("scenes")

    @contextlib.contextmanager
    def both(self, first, second):
        with first.mutex:
            time.sleep(0.0004)
            with second.mutex:
                yield

    def swap_model(self, name, value):
        with self.both(self.models, self.textures):
            self.models.items[name] = value
            self.textures.items.pop(name, None)

    def bake_texture(self, name, value):
        with self.both(self.textures, self.scenes):
            self.textures.items[name] = value
            self.scenes.items.setdefault("default", []).append(name)

    def rebuild_scene(self, name):
        with self.both(self.scenes, self.models):
            self.scenes.items[name] = list(self.models.items)
