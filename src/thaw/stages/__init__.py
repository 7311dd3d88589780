"""One module a stage of `dvc.yaml`: typed parameters and files in, files out."""
