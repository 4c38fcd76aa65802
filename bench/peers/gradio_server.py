"""Gradio's own server, whose upload endpoint is measured: gradio_server.py PORT."""

import sys

import gradio

gradio.Interface(lambda file: file, gradio.File(), gradio.File()).launch(
    server_name="127.0.0.1", server_port=int(sys.argv[1]), quiet=True, ssr_mode=False
)
