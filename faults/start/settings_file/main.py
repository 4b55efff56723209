import configparser


def load_settings(path):
    settings = configparser.ConfigParser()
    settings.read(path)
    return settings.getint("model", "width"), settings.get("model", "sampler")


print(load_settings("model.ini"))
