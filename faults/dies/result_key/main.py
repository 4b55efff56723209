import json
import statistics


def area(detection):
    return detection["bbox"][2] * detection["bbox"][3]


detections = json.loads('[{"bbox": [0, 0, 4, 5]}, {"box": [1, 1, 2, 2]}]')
print(statistics.mean(map(area, detections)))
