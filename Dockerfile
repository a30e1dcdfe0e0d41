# DAIT Studio without a GPU, for those who host it elsewhere (docs/spaces.md).
#   docker build -t dait-studio .
#   docker run --rm -p 127.0.0.1:7860:7860 -v dait:/data dait-studio
FROM python:3.12-slim

# The index of PyTorch's CPU wheels, as pytorch.org/get-started shows it; without it pip takes the
# wheels for CUDA, which work without a GPU too and are 5 GB.
ARG TORCH_INDEX=""

RUN useradd --create-home --uid 1000 studio && install --directory --owner studio /data
WORKDIR /home/studio/dait-studio

# What changes seldom first: images are then built again from here on only.
RUN pip install --no-cache-dir ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
    "torch>=2.8,<2.16" "torchvision>=0.23,<0.30"
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY --chown=studio . .

USER studio
ENV DAIT_RUNS=/data/runs DAIT_CACHE=/data/cache HF_HOME=/data/huggingface \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860 PYTHONUNBUFFERED=1
VOLUME /data
EXPOSE 7860
HEALTHCHECK --start-period=120s CMD ["python", "-c", \
    "import urllib.request as r; r.urlopen('http://127.0.0.1:7860/', timeout=5)"]
# The form with brackets: the signal that ends the container reaches Python itself.
CMD ["python", "app.py"]
