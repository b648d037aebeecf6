"""The versions that a Colab runtime has."""

# What a Colab runtime had in August 2026, by its published package list, where it differs from
# our pins and a notebook could notice; below the line, what those packages ask for.
COLAB = {
    "ipykernel": "6.17.1",
    "ipython": "7.34.0",
    "ipywidgets": "7.7.1",
    "jupyter-client": "7.4.9",
    "matplotlib": "3.10.0",
    "numpy": "2.1.3",
    "traitlets": "5.7.1",
    # -----------
    "backcall": "0.2.0",
    "decorator": "4.4.2",
    "entrypoints": "0.4",
    "ipython-genutils": "0.2.0",
    "nbclassic": "1.2.0",
    "nbclient": "0.10.2",
    "nest-asyncio": "1.6.0",
    "notebook": "6.5.7",
    "pickleshare": "0.7.5",
    "widgetsnbextension": "3.6.10",
}
