from pathlib import Path

import detectron2.config

print(Path(detectron2.config.__file__))
