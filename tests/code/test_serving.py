"""The loader that MLflow keeps with a model."""

import subprocess
import sys


def test_a_served_model_needs_no_library_that_its_requirements_leave_out():
    """`pip_requirements` of the logged model name TensorFlow, Keras, pydantic, Pillow and NumPy alone."""
    absent = ("scipy", "pandas", "matplotlib", "cv2", "mlflow", "dvc", "prefect", "pyarrow", "openvino")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent})); import thaw.serving, thaw.models.network"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
