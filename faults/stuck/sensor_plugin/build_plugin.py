import pathlib
import subprocess
import sysconfig

HERE = pathlib.Path(__file__).resolve().parent


def build():
    target = HERE / ("depthcam" + sysconfig.get_config_var("EXT_SUFFIX"))
    if not target.exists():
        include = sysconfig.get_path("include")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", f"-I{include}", "-o", str(target), str(HERE / "depthcam.c")],
            check=True,
        )
    return target
