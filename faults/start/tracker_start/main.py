import json


def build():
    import phalp_models

    return phalp_models.PHALP()


print(json.dumps({"start": True}))
build()
