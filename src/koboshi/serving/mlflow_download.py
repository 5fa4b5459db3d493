"""`python -m koboshi.serving.mlflow_download SOURCE FOLDER`: MLflow in a process of its own, which ends again."""

import sys

from mlflow.artifacts import download_artifacts

if __name__ == "__main__":
    download_artifacts(sys.argv[1], dst_path=sys.argv[2])
